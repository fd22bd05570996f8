"""A view as data: route, permission, limits, schemas; and the OpenAPI document made of it."""
