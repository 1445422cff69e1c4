"""What a call sends in vain is told: in the answer's header and in the journal, one action of each family."""

import pytest

from harness.api import Api, escape

SENT_IN_VAIN = {
    # (action, its parameters, the ones without effect)
    "record": ("DescribeLiveRecordNotifyRecords", {"DomainName": "vain.example.com", "AppName": "live", "StreamName": "s1",
                "PageNumber": 1, "PageSize": 10,
                "StartTime": "2026-03-01T00:00:00Z", "EndTime": "2026-03-01T01:00:00Z"}, {"RegionId": "cn-shanghai"}),
    "domain": ("AddLiveDomain", {"DomainName": "vain.example.com", "LiveDomainType": "liveVideo", "Region": "cn-shanghai"},
               {"CheckUrl": "http://127.0.0.1/x"}),
    "stream": ("SetLiveStreamsNotifyUrlConfig", {"DomainName": "push.vain.example.com", "NotifyUrl": "http://127.0.0.1:9/n"},
               {"SwitchNotifyUrl": "http://127.0.0.1:9/s"}),
}


@pytest.mark.parametrize("family", SENT_IN_VAIN)
def test_parameters_without_effect_are_told(server, family):
    action, params, vain = SENT_IN_VAIN[family]
    api = Api(server.api)

    def told(**more: object) -> tuple[str | None, list[str]]:
        flat = api.signed(action, **params, **more)
        status, headers, body = api.send("GET", "/?" + "&".join(f"{escape(name)}={escape(value)}" for name, value in flat.items()))
        (entry,) = server.rows("/_localyun/requests?limit=1", "requests")
        # A domain that is there already from the call before: the parameters were read all the same.
        assert status in (200, 400), body
        return headers.get("x-localyun-ignored"), entry["ignored"]

    header, entry = told(**vain, NoSuchThing="1")
    assert sorted(entry) == sorted([*vain, "NoSuchThing"])
    assert sorted((header or "").split(",")) == sorted(entry)
    # Only what was sent is told.
    assert told() == (None, [])
