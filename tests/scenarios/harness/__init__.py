"""What the outside tests stand on: a real server process and everything that a user would hold against it.

Nothing here looks inside localyun. The server is the built binary, the publisher speaks RTMP over a socket, the bucket
is read over HTTP, the callbacks arrive at a real HTTP receiver, and time is moved with the control route, never slept.
"""
