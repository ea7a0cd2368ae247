"""``/v1/watches``: the creators, Spaces and searches that we follow."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Final, TypeAlias

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from notifier.api.bodies import Body
from notifier.api.models import Time, random_tail
from notifier.api.operations import Call, hint, operation
from notifier.api.paging import PageQuery, PageView, page_of, page_reply
from notifier.api.patching import Patch
from notifier.api.preconditions import etag_of
from notifier.core.model.api_key import Scope
from notifier.core.model.ids import WatchId
from notifier.core.model.instants import rfc3339
from notifier.core.model.watch import OnFirstSight, Watch, WatchKind, WatchRole, WatchStatus, check_target
from notifier.http.access import key
from notifier.http.reply import Reply
from notifier.runtime import Runtime
from notifier.store import Job

PATH: Final = "/v1/watches"
ONE: Final = PATH + "/{watch_id}"

Role: TypeAlias = Annotated[WatchRole, Field(strict=False)]
Label: TypeAlias = Annotated[str, Field(max_length=200)]


class WatchCreate(Body):
    """A watch to add."""

    kind: Annotated[WatchKind, Field(strict=False)]
    target: str = Field(
        description="A user id or @name, a Space id, or a search query.", examples=["@TwitterDev"]
    )
    on_first_sight: Annotated[OnFirstSight, Field(strict=False)] = OnFirstSight.BASELINE
    roles: Annotated[list[Role], Field(min_length=1, max_length=len(WatchRole))] | None = Field(
        default=None,
        description="For a creator: the roles to follow, `creator` if not given. X lists Spaces by"
        " their creator only: a Space that they only host is noticed when another poll shows it.",
    )
    label: Label | None = None

    @field_validator("roles")
    @classmethod
    def _only_of_creators(cls, roles: list[WatchRole] | None, info: ValidationInfo) -> list[WatchRole] | None:
        if roles is not None and info.data.get("kind") not in (None, WatchKind.CREATOR):
            raise ValueError("only a watch of kind creator has roles; leave it out")
        return roles


class WatchPatch(Body):
    """What can be changed about a watch; a name that is left out stays as it is."""

    hints: ClassVar[dict[str, str]] = dict.fromkeys(
        ("kind", "target", "on_first_sight"), "cannot be changed; delete the watch and add another"
    )

    paused: bool = False
    label: Label | None = None


class WatchView(BaseModel):
    """A watch."""

    id: str
    kind: WatchKind
    target: str
    user_id: str | None = Field(description="Of a creator, once the name is resolved.")
    on_first_sight: OnFirstSight
    roles: list[WatchRole] | None = Field(description="Of a creator: in which roles they are followed.")
    label: str | None
    status: WatchStatus
    failure_reason: str | None = Field(
        description="What X says about its subject if it does not answer; the watch may still be active."
    )
    paused: bool
    spaces: list[str] = Field(description="The ids of the last 100 Spaces that it matched, the newest first.")
    created_at: Time


async def _views(runtime: Runtime, watches: Sequence[Watch]) -> list[WatchView]:
    spaces = await runtime.store.watches.space_ids([watch.id for watch in watches])
    reasons = await runtime.store.watches.reasons(watches)
    return [
        _view(watch, space_ids, reasons.get(watch.id))
        for watch, space_ids in zip(watches, spaces, strict=True)
    ]


async def _reply(runtime: Runtime, watch: Watch, *, location: str | None = None) -> Reply[WatchView]:
    return Reply.of((await _views(runtime, [watch]))[0], location=location, etag=etag_of(watch))


def _view(watch: Watch, space_ids: Sequence[str], reason: str | None) -> WatchView:
    return WatchView(
        id=watch.id,
        kind=watch.kind,
        target=watch.target,
        user_id=watch.subject if watch.kind is WatchKind.CREATOR else None,
        on_first_sight=watch.on_first_sight,
        roles=list(watch.roles) if watch.kind is WatchKind.CREATOR else None,
        label=watch.label,
        status=watch.status,
        failure_reason=watch.failure_reason or reason,
        paused=watch.paused,
        spaces=list(space_ids),
        created_at=rfc3339(watch.created_at),
    )


async def create_watch(call: Call[WatchCreate, None]) -> Reply[WatchView]:
    """Add a watch.

    A creator's name is resolved by the workers.
    """
    subject = check_target(call.body.kind, call.body.target)
    watch = Watch(
        id=WatchId("wch_" + random_tail()),
        kind=call.body.kind,
        target=call.body.target,
        subject=subject,
        on_first_sight=call.body.on_first_sight,
        roles=tuple(dict.fromkeys(call.body.roles or [WatchRole.CREATOR])),
        label=call.body.label,
        status=WatchStatus.RESOLVING if subject is None else WatchStatus.ACTIVE,
        created_at=call.runtime.clock(),
    )
    await call.runtime.store.watches.create(watch, now=watch.created_at)
    await hint(call.runtime.wakeup.ring(Job.OBSERVE))
    return await _reply(call.runtime, watch, location=f"{PATH}/{watch.id}")


async def list_watches(call: Call[None, PageQuery]) -> Reply[PageView[WatchView]]:
    """List watches.

    The newest comes first.
    """
    page = await call.runtime.store.watches.page(**page_of(call))
    views = await _views(call.runtime, page.items)
    return page_reply(call, WatchView, views, page.next_cursor)


async def get_watch(call: Call[None, None]) -> Reply[WatchView]:
    """Get a watch."""
    return await _reply(call.runtime, await call.runtime.store.watches.get(call.path["watch_id"]))


async def change_watch(call: Call[WatchPatch, None]) -> Reply[WatchView]:
    """Pause or label a watch.

    A paused watch is not polled, and goes on when `paused` is false again.
    """
    runtime, patch = call.runtime, Patch(call, WatchPatch)

    def decide(watch: Watch) -> Watch:
        if call.if_match is not None:
            call.if_match.check(watch)
        wanted = patch.over({"paused": watch.paused, "label": watch.label}).model_dump(exclude_unset=True)
        patch.refuse_overwriting(watch, wanted)
        return replace(watch, **wanted)

    done = await runtime.store.watches.change(call.path["watch_id"], decide, now=runtime.clock())
    if done.before.paused and not done.after.paused:
        await hint(runtime.wakeup.ring(Job.OBSERVE))
    return await _reply(runtime, done.after)


async def delete_watch(call: Call[None, None]) -> Reply[None]:
    """Remove a watch.

    Spaces that no other watch matches are no longer tracked, without an event.
    """
    watches, watch_id = call.runtime.store.watches, call.path["watch_id"]
    if call.if_match is not None:
        call.if_match.check(await watches.get(watch_id))
    await watches.delete(watch_id, now=call.runtime.clock())
    return Reply.nothing()


OPERATIONS: Final = (
    operation("POST", PATH, create_watch, key(Scope.WATCHES_WRITE), status=201, shows_etag=True),
    operation("GET", PATH, list_watches, key(Scope.WATCHES_READ)),
    operation("GET", ONE, get_watch, key(Scope.WATCHES_READ), shows_etag=True),
    operation("PATCH", ONE, change_watch, key(Scope.WATCHES_WRITE), takes_if_match=True, shows_etag=True),
    operation("DELETE", ONE, delete_watch, key(Scope.WATCHES_WRITE), status=204, takes_if_match=True),
)
