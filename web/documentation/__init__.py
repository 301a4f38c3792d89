"""GET /documentation: the OpenAPI description of a surface as a page, with all files that the page needs."""
