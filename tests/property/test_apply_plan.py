"""Whatever is declared and whatever is there: doing the plan leaves nothing to do, and no step is refused."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from clearinghub.tools.apply.live import LiveHolding, LiveParticipant, LiveState
from clearinghub.tools.apply.plan import make_plan
from clearinghub.tools.client.responses import LimitValue
from tests.unit.tools.apply.declarations import after, declared

CURRENCIES = ("USD", "KES", "EUR")
NAMES = ("bank1", "bank2", "Wallet")
TYPES = ("TRANSFER_POST", "FSPIOP_CALLBACK_URL_TRANSFER_PUT", "QUOTES")

maybe_flag = st.sampled_from([None, True, False])
urls = st.sampled_from(["http://a/x", "http://b/x"])


def without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


@st.composite
def holdings(draw: st.DrawFn) -> dict[str, Any]:
    cap = draw(st.sampled_from([None, 0, 100, 200]))
    rest: dict[str, Any] = {"isActive": draw(maybe_flag)}
    if cap is not None:
        rest["alarmPercentage"] = draw(st.sampled_from([None, 0, 10, 50]))
        rest["fundsAtLeast"] = draw(st.sampled_from([None, 0, 50, 500]))
    return without_none({"netDebitCap": cap, **rest})


@st.composite
def schemes(draw: st.DrawFn) -> str:
    """A file that is right by itself."""
    participants = draw(
        st.dictionaries(
            st.sampled_from(NAMES),
            st.fixed_dictionaries(
                {
                    "isActive": maybe_flag,
                    "isProxy": maybe_flag,
                    "currencies": st.dictionaries(st.sampled_from(CURRENCIES), holdings(), min_size=1),
                    "endpoints": st.dictionaries(st.sampled_from(TYPES), urls),
                }
            ).map(without_none),
        )
    )
    used = {code for participant in participants.values() for code in participant["currencies"]} or {"USD"}
    flags = {code: draw(maybe_flag) for code in sorted(used)}
    currencies = {
        code: {"settlementModels": {f"MODEL{code}": without_none({"isActive": flags[code]})}} for code in flags
    }
    default = {"DEFAULT": without_none({"isActive": draw(maybe_flag)})}
    return yaml.safe_dump({"currencies": currencies, "settlementModels": default, "participants": participants})


@st.composite
def hubs(draw: st.DrawFn) -> LiveState:
    """A hub as some other file has left it, with flags and funds as operators have."""
    scheme = declared(draw(schemes()))
    plan = make_plan(scheme, LiveState())
    live = LiveState() if plan.conflicts else after(LiveState(), plan.steps)
    limit = st.builds(
        LimitValue.model_construct,
        value_units=st.sampled_from([0, 1_000_000]),
        alarm_percent=st.sampled_from([0, 10]),
    )
    participants = {
        name: LiveParticipant(
            draw(st.booleans()),
            participant.is_proxy,
            {
                currency: LiveHolding(draw(st.booleans()), draw(st.none() | limit), draw(st.sampled_from([0, 500_000])))
                for currency in participant.holdings
            },
            participant.endpoints,
        )
        for name, participant in live.participants.items()
    }
    return LiveState(live.hub_accounts, live.models, participants)


@given(schemes(), hubs())
def test_a_plan_leaves_nothing_to_do(text: str, live: LiveState) -> None:
    scheme = declared(text)
    plan = make_plan(scheme, live)
    if plan.conflicts:
        return

    done = after(live, plan.steps)

    again = make_plan(scheme, done)
    assert () == again.steps
    assert () == again.conflicts


@given(schemes(), hubs())
def test_half_a_plan_is_finished_by_another(text: str, live: LiveState) -> None:
    scheme = declared(text)
    plan = make_plan(scheme, live)
    if plan.conflicts:
        return

    for count in range(len(plan.steps)):
        halfway = after(live, plan.steps[:count])
        assert after(halfway, make_plan(scheme, halfway).steps) == after(live, plan.steps)
