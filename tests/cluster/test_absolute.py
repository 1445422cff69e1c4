"""The loss of a node in absolute time, by pictures that have numbers; a rolling restart under load."""

import time
from contextlib import suppress

from harness.wait import wait_for
from marked import Encoder, lost_seconds, recorded
from nodes import host_of
from proxy import Proxy
from test_loss import lag

ROUNDS, STREAMS = 4, 4


def test_what_was_acknowledged_a_second_before_the_end_is_in_one_recording(nodes):
    cluster = nodes(2)
    cluster.rule("a", "flv")
    counted, told = 0, []
    for number in range(ROUNDS):
        victim = f"v{number}"
        server = cluster.start(victim)
        door = lambda server=server: (server.rtmp_host, server.rtmp_port)  # noqa: E731
        encoders = [Encoder(f"r{number}s{n}", cluster.domain, door, step=0.1, comes_back=False) for n in range(STREAMS)]
        for encoder in encoders:
            encoder.start()
        time.sleep(3.5 + 0.37 * number)
        behind = lag(cluster, victim)
        killed_at = cluster.kill(victim)
        for encoder in encoders:
            assert encoder.broken.wait(10)
        # DelayTime, by the clock of all that are left.
        wait_for(lambda: len(cluster.names("a")) == 2, 20, "the word of its death")
        streams = f"stream LIKE 'r{number}s%'"
        alive = "incarnation IN (SELECT incarnation FROM node)"
        wait_for(lambda: cluster.sql(f"SELECT COUNT(*) FROM live_stream WHERE {streams} AND {alive}") == [str(STREAMS)], 20, "the takeover")
        cluster.servers["b"].advance(30)
        wait_for(lambda: cluster.sql(f"SELECT COUNT(*) FROM record_file WHERE {streams}") == [str(STREAMS)], 30, "the files")
        # Whoever was behind with its mirror said so; a busy machine is no fault of the rule.
        is_counted = behind < 1.0
        counted += is_counted
        for encoder in encoders:
            (held,) = recorded(cluster, encoder.stream)
            assert held == list(range(len(held))), "a picture is missing in the middle, or came twice"
            lost = lost_seconds(encoder, held, killed_at)
            told.append(f"{lost:.2f}" + ("" if is_counted else f" (mirror {behind:.1f} s behind)"))
            if is_counted:
                assert len(held) >= encoder.owed(killed_at - 1.0), (lost, behind)
    print("media lost, s:", ", ".join(told))
    assert counted >= 1, "this machine never kept its mirror within a second"
    cluster.check_rows_and_objects()


class SlowToRemove(Proxy):
    """A way to the store on which each request to remove an object takes its time."""

    def __init__(self, host: str, port: int):
        self.removals = 0
        super().__init__(host, port)

    def _relay(self, source, sink, flows) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if flows is self.there and data.startswith(b"DELETE "):
                    self.removals += 1
                    time.sleep(1)
                sink.sendall(data)
        self._end(source, sink)


def test_tidying_up_the_mirror_holds_nothing_up(nodes):
    """What is recorded while the objects of a finished recording are removed, one after the other, is in the store as soon as ever."""
    cluster = nodes(1)
    way = SlowToRemove(*host_of(cluster.store.oss))
    try:
        server = cluster.start("v", store=f"http://127.0.0.1:{way.port}")
        cluster.rule("a", "flv")
        finished = cluster.live("s1", "v")
        finished.push(4)
        finished.publishers[-1].drop()
        encoder = Encoder("s2", cluster.domain, lambda: (server.rtmp_host, server.rtmp_port), step=0.1, comes_back=False)
        encoder.start()
        wait_for(lambda: way.removals >= 2, 40, "the removal of what the mirror has of a finished recording")
        behind = []
        for _ in range(8):
            behind.append(lag(cluster, "v"))
            time.sleep(0.2)
        assert way.removals >= 3 and max(behind) < 1, (way.removals, behind)
        killed_at = cluster.kill("v")
        assert encoder.broken.wait(10)
        cluster.wait_files(2)
        (held,) = recorded(cluster, "s2")
        assert len(held) >= encoder.owed(killed_at - 1.0), (lost_seconds(encoder, held, killed_at), behind)
        cluster.check_rows_and_objects()
    finally:
        way.close()


def test_a_rolling_restart_under_load_ends_no_recording(nodes):
    cluster = nodes(3)
    cluster.rule("a", "flv")
    door = lambda: cluster.balancer.listener.getsockname()  # noqa: E731
    encoders = [Encoder(f"s{n}", cluster.domain, door) for n in range(6)]
    for encoder in encoders:
        encoder.start()
    time.sleep(3)
    for name in "abc":
        assert cluster.servers[name].stop() == 0
        time.sleep(2)
        cluster.start(name)
        time.sleep(1)
    for encoder in encoders:
        encoder.end()
    cluster.wait_files(6, 90)
    assert cluster.sql("SELECT COUNT(*) FROM record_session") == ["6"]
    for encoder in encoders:
        (held,) = recorded(cluster, encoder.stream)
        assert held == sorted(set(held)), "a picture came twice, or earlier than one before it"
        assert encoder.breaks >= 1 and held[-1] >= encoder.acknowledged[-1][1] - 1
    assert sum(encoder.breaks for encoder in encoders) >= 6
    cluster.check_rows_and_objects()
