"""The language server: flows in an editor. Pure functions over a text and what is known of it; `server` speaks the
protocol."""
