"""For those who write plugins: packages begun from the templates beside this file."""
