"""The coordinators' pages, gathered: an address that names a page comes before one that takes an id."""

from services.events.coordination import (
    activity_pages,
    copying,
    home,
    session_editing,
    session_list,
    session_pages,
    stop_pages,
    tour_editing,
    tour_pages,
    trainer_pages,
    venue_pages,
)

routers = (
    home.router,
    session_list.router,
    session_editing.router,
    session_pages.router,
    tour_editing.router,
    stop_pages.router,
    copying.router,
    tour_pages.router,
    trainer_pages.router,
    activity_pages.router,
    venue_pages.router,
)
