"""How well documents are found: labelled questions over this project's own pages."""
