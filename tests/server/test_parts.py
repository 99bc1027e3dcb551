"""What the connections of one server share."""

from tests.server.stand import Stand


def test_connections_of_a_server_share_its_parts() -> None:
    """And not with another server in the same process."""
    stand, other = Stand(), Stand()
    first, second = stand.connect().connection, stand.connect().connection
    assert first.parts is second.parts
    assert first.parts is not other.connect().connection.parts
    assert (first.parts.tree, first.parts.pipeline) == (stand.member.tree, stand.member.pipeline)
    assert first.parts.reads.tree is stand.member.tree


def test_what_is_to_be_closed_gathers_until_the_member_takes_it() -> None:
    stand = Stand()
    peer = stand.connect()
    peer.connection.close("a reason")
    peer.connection.close("another one")
    assert peer.connection.parts.to_close == [(peer.connection.connection_id, "a reason")]
    stand.turn()
    assert (peer.connection.parts.to_close, peer.why) == ([], "a reason")
