"""What the coordinator of settlement has in its tables, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from clearinghub.domain.settlement.creation import ContentNets
from clearinghub.domain.settlement.netting import NettingGroup
from clearinghub.domain.settlement.settlement import Settlement
from clearinghub.domain.settlement.window import Window
from clearinghub.engine.record import TableSpec
from tables.settlements import CONTENTS, SETTLEMENT_WINDOWS, SETTLEMENTS, content_key, settlement_key
from tests.fakes import MemoryView, Row


class CoordinatorInMemory:
    """SettlementReader over the tables of the partition of the hub's name."""

    hub_name: str

    def _view(self, key: str) -> MemoryView:
        raise NotImplementedError

    async def last_windows(self) -> list[Window]:
        return self._coordinated(SETTLEMENT_WINDOWS, "window/")

    async def windows(self, window_ids: Sequence[int]) -> list[Window]:
        return [one for one in reversed(await self.last_windows()) if one.window_id in window_ids]

    async def nets(self, window: Window) -> dict[NettingGroup, ContentNets] | None:
        view = self._view(self.hub_name)
        found = {
            one.netting_group: view.get(CONTENTS, content_key(window.window_id, one.netting_group))
            for one in window.contents
        }
        nets = {netting_group: nets for netting_group, nets in found.items() if nets is not None}
        return nets if len(nets) == len(found) else None

    async def last_settlements(self) -> list[Settlement]:
        return self._coordinated(SETTLEMENTS, "settlement/")

    async def settlement(self, settlement_id: int) -> Settlement | None:
        return self._view(self.hub_name).get(SETTLEMENTS, settlement_key(settlement_id))

    def _coordinated(self, table: TableSpec[Row], prefix: str) -> list[Row]:
        """Rows of a kind, last first."""
        rows = self._view(self.hub_name).tables.get(table.name, {})
        return [table.decode(rows[key]) for key in sorted(rows, reverse=True) if key.startswith(prefix)]
