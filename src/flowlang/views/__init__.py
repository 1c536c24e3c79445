"""Pure functions from records to what people read. Nothing here prints, and nothing here knows a terminal's size."""
