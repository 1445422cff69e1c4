package org.localyun.junit;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A receiver of callbacks, in the server itself. */
public final class Sink {
    private static final Duration ONCE_A_SECOND = Duration.ofSeconds(1);

    private final Cloud cloud;
    private final String name;

    Sink(Cloud cloud, String name) {
        this.cloud = cloud;
        this.name = name;
    }

    /** What a notify URL is set to. */
    public String url() {
        return cloud.inside + "/_localyun/sink/" + name;
    }

    /** The JSON bodies of what came, in order. */
    public List<JsonNode> bodies() {
        List<JsonNode> bodies = new ArrayList<>();
        for (JsonNode request : cloud.send("GET", "sinks/" + name + "?limit=1000", null).path("requests")) {
            if (request.path("json").isObject()) {
                bodies.add(request.path("json"));
            }
        }
        return bodies;
    }

    /** What it answers from now on. */
    public void answer(int status, Object body) {
        cloud.send("PUT", "sinks/" + name, Map.of("status", status, "body", body));
    }

    /** The bodies of what came, as soon as {@code count} of those that have these fields are there. */
    public List<JsonNode> await(int count, Map<String, ?> fields) {
        long end = System.nanoTime() + Cloud.PATIENCE.toNanos();
        String since = null;
        while (true) {
            List<JsonNode> bodies = bodies();
            List<JsonNode> fit = new ArrayList<>();
            for (JsonNode body : bodies) {
                if (fields.entrySet().stream().allMatch(field -> body.path(field.getKey()).asText().equals(String.valueOf(field.getValue())))) {
                    fit.add(body);
                }
            }
            if (fit.size() >= count) {
                return fit;
            }
            Duration left = Duration.ofNanos(end - System.nanoTime());
            if (left.isNegative()) {
                throw new AssertionError("waited " + Cloud.PATIENCE + " for " + count + " callbacks " + fields + " at " + name + "; there is " + bodies);
            }
            try {
                // A sink is also reached by what tells no event; so it looks once a second at least.
                Duration wait = left.compareTo(ONCE_A_SECOND) < 0 ? left : ONCE_A_SECOND;
                since = cloud.await("callback", 1, since, wait, "").path("next").asText();
            } catch (Refused refused) {
                if (refused.status != 408) {
                    throw refused;
                }
            }
        }
    }
}
