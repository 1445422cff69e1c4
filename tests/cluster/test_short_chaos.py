"""A minute and a half of what tests/cluster/chaos.py does for as long as it is told: the same moves at each run."""

import chaos


def test_nothing_is_lost_or_comes_twice_while_nodes_and_databases_go_and_come(nodes, tmp_path, monkeypatch):
    chaos.run(nodes, tmp_path, monkeypatch, seed=187, streams=12, minutes=1.6)


def test_the_same_seed_makes_the_same_moves():
    assert chaos.plan(7, 900) == chaos.plan(7, 900) != chaos.plan(8, 900)
    whole = chaos.plan(7, 3600)
    assert {move.kind for move in whole if move} == set(chaos.MOVES) and whole[:10] == chaos.plan(7, 900)[:10]
