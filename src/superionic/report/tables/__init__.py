"""Tables of documents and rows, as text, CSV and data frames."""
