"""The book of seats through random lives of a session, against the model."""

from hypothesis import settings

from tests.registrations.seats.drivers import Driver, PureDriver
from tests.registrations.seats.machine import SeatMachine


class SeatBookMachine(SeatMachine):
    def driven(self) -> Driver:
        return PureDriver()


TestTheBookOfSeats = SeatBookMachine.TestCase
TestTheBookOfSeats.settings = settings(max_examples=400, stateful_step_count=40, deadline=None)
