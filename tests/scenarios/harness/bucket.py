"""A bucket of the object store, through boto3 in path style, with objects of somebody else in it."""

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError

FOREIGN = {
    "readme.txt": b"not made by the recorder",
    "record/live/s1/0000000000_0.ts": b"looks like a slice, is none",
    "record/live/s1/zz_foreign.m3u8": b"#EXTM3U\n",
}


def client(endpoint: str, key: str = "testid", secret: str = "testsecret"):
    """An S3 client that asks for nothing which the store's plain dialect does not have."""
    config = Config(
        s3={"addressing_style": "path"},
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"max_attempts": 1},
        proxies={},
    )
    return boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name="cn-shanghai", config=config)


class Bucket:
    """One bucket. `keys` leaves out the foreign objects that `plant` put there."""

    def __init__(self, s3, name: str):
        self.s3 = s3
        self.name = name
        self._foreign: dict[str, tuple] = {}

    def create(self) -> None:
        """Makes the bucket; one that is already there is fine."""
        try:
            self.s3.create_bucket(Bucket=self.name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise

    def plant(self) -> None:
        """Puts the foreign objects and remembers what the store says of them."""
        for key, body in FOREIGN.items():
            self.put(key, body)
        self._foreign = self._marks()

    def _marks(self) -> dict[str, tuple]:
        marks = {}
        for key in FOREIGN:
            head = self.s3.head_object(Bucket=self.name, Key=key)
            marks[key] = (head["ETag"], head["LastModified"], head["ContentLength"])
        return marks

    def check_foreign(self) -> None:
        """No planted object was changed or deleted."""
        if self._foreign:
            assert self._marks() == self._foreign
            assert {key: self.get(key) for key in FOREIGN} == FOREIGN

    def all_keys(self) -> list[str]:
        """Every key, sorted."""
        found, token = [], {}
        while True:
            page = self.s3.list_objects_v2(Bucket=self.name, **token)
            found += [item["Key"] for item in page.get("Contents", [])]
            if not page.get("IsTruncated"):
                return sorted(found)
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def keys(self, suffix: str = "") -> list[str]:
        """The keys that the recorder made, optionally only those with an ending."""
        return [key for key in self.all_keys() if key not in self._foreign and key.endswith(suffix)]

    def get(self, key: str) -> bytes:
        """The bytes of one object."""
        return self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()

    def put(self, key: str, body: bytes) -> None:
        """Stores one object."""
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)

    def remove(self) -> None:
        """Deletes the bucket with everything in it."""
        for key in self.all_keys():
            self.s3.delete_object(Bucket=self.name, Key=key)
        self.s3.delete_bucket(Bucket=self.name)
