"""GET /documentation: a surface's OpenAPI description as a page to read, with all that the page is made of."""
