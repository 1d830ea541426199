"""What can go wrong that a person can mend: told in one line, without a traceback."""

from __future__ import annotations

from typing import Final

from alerts.engine import BadRuleConfig
from alerts.policy import BadPolicy
from command.bus import BrokerUnavailable
from command.operations.backtest import BacktestRefused
from command.operations.drill import BadPorts, UnknownScenario
from command.operations.imports import PlaceRefused
from command.operations.keys import BadKey
from command.operations.people import BadAccount
from command.operations.replay import ReplayStopped
from command.operations.rules import RuleRefused
from command.services import AlreadyRunning, ServiceMissing
from command.settings import BadSettings
from command.store.engine import StoreNotMigrated, StoreUnavailable
from command.store.people import LoginTaken, UnknownUser
from command.store.realms import UnknownRealm
from maps.exchange import BadFile
from sensors.recordings import BadRecording

MENDABLE: Final = (
    AlreadyRunning,
    PlaceRefused,
    BacktestRefused,
    BadAccount,
    BadFile,
    BadKey,
    BadPolicy,
    BadPorts,
    BadRecording,
    BadRuleConfig,
    BadSettings,
    BrokerUnavailable,
    LoginTaken,
    ReplayStopped,
    RuleRefused,
    ServiceMissing,
    StoreNotMigrated,
    StoreUnavailable,
    UnknownRealm,
    UnknownScenario,
    UnknownUser,
)
