"""A flow as a picture: `chart` says what is drawn, `mermaid` writes it as text, `layout` and `svg` as a drawing."""
