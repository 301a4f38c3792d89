"""The routes of the operators' port, each with the permission that it requires."""

from __future__ import annotations

from typing import Final

from aiohttp.typedefs import Handler
from aiohttp.web import AbstractRoute, AppKey, Application, Request

from clearinghub.security.roles import Permission

# An application's entry: the permission of each route. A route that is not in it is nobody's.
_PERMISSIONS: Final = AppKey("permissions", dict[AbstractRoute, Permission])


class GuardedRoutes:
    """Adds routes to an application. There is no way to add one without saying which permission it requires."""

    def __init__(self, app: Application) -> None:
        self._app = app
        app[_PERMISSIONS] = {}

    def add(self, permission: Permission, method: str, path: str, handler: Handler) -> None:
        """Serve a method of a path to those that have the permission."""
        self._app[_PERMISSIONS][self._app.router.add_route(method, path, handler)] = permission

    def require(self, permission: Permission, *paths: str) -> None:
        """Let routes that were added by others, for all surfaces alike, require a permission."""
        for route in self._app.router.routes():
            if route.resource is not None and route.resource.canonical in paths:
                self._app[_PERMISSIONS][route] = permission


def permission_of(request: Request) -> Permission | None:
    """Return what the request's route requires; None if nobody has said it, or if there is no such route."""
    return request.app[_PERMISSIONS].get(request.match_info.route)


def required_permissions(app: Application) -> dict[AbstractRoute, Permission | None]:
    """Return every route of an application with what it requires."""
    return {route: app[_PERMISSIONS].get(route) for route in app.router.routes()}
