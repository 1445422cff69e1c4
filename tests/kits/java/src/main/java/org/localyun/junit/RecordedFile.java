package org.localyun.junit;

import com.fasterxml.jackson.databind.JsonNode;

/** A recorded file that is in the store. */
public final class RecordedFile {
    public final String format;
    public final String bucket;
    public final String object;
    public final long size;
    /** In seconds. */
    public final double duration;
    private final Cloud cloud;

    RecordedFile(Cloud cloud, JsonNode event) {
        this.cloud = cloud;
        this.format = event.path("format").asText();
        this.bucket = event.path("bucket").asText();
        this.object = event.path("object").asText();
        this.size = event.path("size").asLong();
        this.duration = event.path("duration_ms").asLong() / 1000.0;
    }

    /** An address that plays without a key. */
    public String url() {
        return cloud.fromHere(cloud.send("GET", "signed?bucket=" + Cloud.escaped(bucket) + "&key=" + Cloud.escaped(object), null).path("url").asText());
    }

    public byte[] read() {
        return cloud.fetch(url());
    }
}
