"use strict";

const page = document.getElementById("page");

SwaggerUIBundle({
  domNode: page,
  url: "documentation/openapi.json",
  // The methods that the page may send to the hub.
  supportedSubmitMethods: page.dataset.methods.split(" ").filter(Boolean),
  // Else the page would ask a server of its makers whether the description is valid.
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 3,
});
