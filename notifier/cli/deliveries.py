"""``deliveries …``."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import typer

from notifier.cli.admin import AdminApi, Cursor, Limit, admin_command, quoted

app = typer.Typer(help="Deliveries of events to endpoints, and their attempts.", no_args_is_help=True)

PATH: Final = "/v1/deliveries"
COLUMNS: Final = (
    "id",
    "event_id",
    "endpoint_id",
    "status",
    "attempts_made",
    "next_attempt_at",
    "last_reason",
)
ATTEMPT_COLUMNS: Final = (
    "number",
    "started_at",
    "trigger",
    "outcome",
    "status_code",
    "duration_ms",
    "reason",
)

DeliveryId: TypeAlias = Annotated[str, typer.Argument(metavar="DELIVERY_ID")]


@admin_command(app, "list")
def list_deliveries(
    api: AdminApi,
    *,
    endpoint_id: Annotated[str | None, typer.Option(help="Only to this endpoint.")] = None,
    event_id: Annotated[str | None, typer.Option(help="Only of this event.")] = None,
    space_id: Annotated[str | None, typer.Option(help="Only about this Space.")] = None,
    status: Annotated[str | None, typer.Option(help="pending, delivered, exhausted or discarded.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List deliveries, the newest first."""
    page = api.get(
        PATH,
        endpoint_id=endpoint_id,
        event_id=event_id,
        space_id=space_id,
        status=status,
        limit=limit,
        cursor=cursor,
    )
    api.show_page(page, COLUMNS)


@admin_command(app, "get")
def get_delivery(api: AdminApi, delivery_id: DeliveryId) -> None:
    """Show one delivery with its attempts."""
    delivery = api.get(_path(delivery_id))
    if api.as_json:
        api.show(delivery)
        return
    attempts = delivery.pop("attempts")
    api.show(delivery)
    api.show_page({"data": attempts}, ATTEMPT_COLUMNS)


@admin_command(app, "redeliver")
def redeliver(api: AdminApi, delivery_id: DeliveryId) -> None:
    """Send a delivery again now."""
    api.show(api.post(_path(delivery_id) + "/redeliver"))


def _path(delivery_id: str) -> str:
    return f"{PATH}/{quoted(delivery_id)}"
