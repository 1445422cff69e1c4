package org.localyun.junit;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A running server, as a test talks to it: the control plane in the words of a test. Nothing here polls: what has not happened yet is waited
 * for by {@code GET /_localyun/wait}.
 */
public final class Cloud {
    /** How long a helper waits for what should happen at once. */
    public static final Duration PATIENCE = Duration.ofSeconds(10);

    public static final String DOMAIN = "play.example.com";
    public static final String APP = "live";

    /** The address of the API with its scheme. */
    public final String url;
    /** The same as SDKs want it: host and port. */
    public final String endpoint;
    public final String rtmp;
    public final String play;
    public final String oss;
    public final String keyId;
    public final String keySecret;
    /** That of the key; null: it needs none. */
    public final String securityToken;

    /** The address of the API as the server itself reaches it, for its own sinks. */
    final String inside;

    /** Whether the server's own store is reached at another port than the server knows. */
    private final boolean storeIsMapped;

    private final String token;
    private final ObjectMapper json = new ObjectMapper();
    private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    /** @param ready what the server printed when everything listened */
    public Cloud(JsonNode ready, String keyId, String keySecret, String token) {
        this(ready, new AccessKey(keyId, keySecret, null), token);
    }

    Cloud(JsonNode ready, AccessKey key, String token) {
        this(ready, key, token, ready.path("api").asText(), false);
    }

    Cloud(JsonNode ready, AccessKey key, String token, String inside, boolean storeIsMapped) {
        this.url = ready.path("api").asText();
        this.endpoint = URI.create(url).getAuthority();
        this.rtmp = ready.path("rtmp").asText();
        this.play = ready.path("play").asText(null);
        this.oss = ready.path("oss").asText();
        this.keyId = key.id;
        this.keySecret = key.secret;
        this.securityToken = key.token;
        this.token = token;
        this.inside = inside;
        this.storeIsMapped = storeIsMapped;
    }

    // --- what a test sets up

    /** Variables that lead SDKs and tools here, as {@code localyun env} prints them. */
    public Map<String, String> env() {
        Map<String, String> variables = new LinkedHashMap<>(Map.ofEntries(
            Map.entry("ALIBABA_CLOUD_ENDPOINT", endpoint),
            Map.entry("ALIBABA_CLOUD_ACCESS_KEY_ID", keyId),
            Map.entry("ALIBABA_CLOUD_ACCESS_KEY_SECRET", keySecret),
            Map.entry("LOCALYUN_ENDPOINT", url),
            Map.entry("LOCALYUN_PUSH_URL", rtmp + "/live/STREAM?vhost=DOMAIN"),
            Map.entry("LOCALYUN_PLAY_URL", play + "/live/STREAM.flv?vhost=DOMAIN"),
            Map.entry("OSS_ENDPOINT", oss),
            Map.entry("OSS_ACCESS_KEY_ID", keyId),
            Map.entry("OSS_ACCESS_KEY_SECRET", keySecret),
            Map.entry("AWS_ENDPOINT_URL_S3", oss),
            Map.entry("AWS_ACCESS_KEY_ID", keyId),
            Map.entry("AWS_SECRET_ACCESS_KEY", keySecret),
            Map.entry("AWS_REGION", "us-east-1")));
        if (securityToken != null) {
            variables.put("ALIBABA_CLOUD_SECURITY_TOKEN", securityToken);
            variables.put("OSS_SESSION_TOKEN", securityToken);
            variables.put("AWS_SESSION_TOKEN", securityToken);
        }
        return variables;
    }

    /** A rule that records every stream of {@link #DOMAIN} and {@link #APP} as MP4, and the domain's callback address. */
    public void record(String notifyUrl) {
        record("*", notifyUrl, "mp4");
    }

    /** A rule; {@code notifyUrl} may be null. */
    public void record(String stream, String notifyUrl, String... formats) {
        Map<String, String> wanted = new LinkedHashMap<>();
        wanted.put("DomainName", DOMAIN);
        wanted.put("AppName", APP);
        wanted.put("StreamName", stream);
        wanted.put("OssBucket", "recordings");
        wanted.put("OssEndpoint", "oss-cn-shanghai.aliyuncs.com");
        for (int at = 0; at < formats.length; at++) {
            wanted.put("RecordFormat." + (at + 1) + ".Format", formats[at]);
        }
        call("AddLiveAppRecordConfig", wanted);
        if (notifyUrl != null) {
            call("AddLiveRecordNotifyConfig", Map.of("DomainName", DOMAIN, "NotifyUrl", notifyUrl, "NeedStatusNotify", "true"));
        }
    }

    /** One signed call of the cloud's API, without an SDK. */
    public JsonNode call(String action, Map<String, String> parameters) {
        String form = Signature.sign(action, parameters, new AccessKey(keyId, keySecret, securityToken));
        return json(HttpRequest.newBuilder(URI.create(url + "/"))
                .header("content-type", "application/x-www-form-urlencoded")
                .POST(BodyPublishers.ofString(form))
                .build());
    }

    /** Pushes the built-in clip over RTMP, without a client: as fast as it goes, and to its end. */
    public JsonNode publish(String stream, double seconds) {
        return publish(Map.of("domain", DOMAIN, "app", APP, "stream", stream, "seconds", seconds, "speed", 0, "wait", true));
    }

    /** Any push: {@code domain}, {@code app}, {@code stream}, {@code clip}, {@code seconds}, {@code speed}, {@code query}, {@code wait}. */
    public JsonNode publish(Map<String, ?> push) {
        return send("POST", "streams", push);
    }

    public void unpublish(String stream) {
        send("DELETE", "streams/" + DOMAIN + "/" + APP + "/" + escaped(stream), null);
    }

    /** Arms a fault: {@code Map.of("at", "object-put", "first", 2, "code", "InternalError")}. */
    public void fault(Map<String, ?> fault) {
        send("PUT", "faults", fault);
    }

    /** Forgets everything: a clean cloud, in milliseconds. */
    public void reset() {
        send("POST", "reset", null);
    }

    public Sink sink(String name) {
        return new Sink(this, name);
    }

    // --- the clock

    /** Moves the service clock. What falls due on the way is done when this returns. */
    public JsonNode advance(Duration by) {
        return send("POST", "clock/advance", Map.of("seconds", by.toMillis() / 1000.0));
    }

    /** Stops the clock, so that only {@link #advance} moves it. */
    public void freeze() {
        send("POST", "clock", Map.of("frozen", true));
    }

    // --- what a test looks at

    /** Recording sessions with their files, the newest first, a thousand at most. */
    public JsonNode recordings() {
        return send("GET", "recordings?limit=1000", null).path("recordings");
    }

    /** Callbacks with every attempt, the newest first, a thousand at most. */
    public JsonNode callbacks() {
        return send("GET", "callbacks?limit=1000", null).path("callbacks");
    }

    /** The journal of API calls, the newest first, a thousand at most. */
    public JsonNode requests() {
        return send("GET", "requests?limit=1000", null).path("requests");
    }

    /** Which rule records a stream and why, or why none does. */
    public JsonNode explain(String stream) {
        return send("GET", "explain?domain=" + DOMAIN + "&app=" + APP + "&stream=" + escaped(stream), null);
    }

    // --- what a test waits for

    /** Events of a kind, as soon as {@code count} of them have happened since the last reset. */
    public JsonNode await(String kind, int count) {
        return await(kind, count, null, PATIENCE, "").path("events");
    }

    JsonNode await(String kind, int count, String since, Duration patience, String filter) {
        String place = since == null ? "" : "&since=" + since;
        double seconds = Math.max(0, patience.toMillis()) / 1000.0;
        return send("GET", "wait?kind=" + kind + "&count=" + count + "&timeout_s=" + seconds + place + filter, null);
    }

    /** The first file of a stream and a format (null: any) that is in the store. */
    public RecordedFile awaitFile(String stream, String format) {
        long end = System.nanoTime() + PATIENCE.toNanos();
        String since = null;
        while (true) {
            JsonNode event;
            try {
                event = await("file", 1, since, Duration.ofNanos(end - System.nanoTime()), "&stream=" + escaped(stream)).path("events").get(0);
            } catch (Refused refused) {
                if (refused.status != 408) {
                    throw refused;
                }
                JsonNode told = explain(stream);
                throw new AssertionError("waited " + PATIENCE + " for a file " + format + " of " + stream + "; explain: "
                        + told.path("why").asText() + " " + told.path("cure").asText(""), refused);
            }
            if (format == null || format.equals(event.path("format").asText())) {
                return new RecordedFile(this, event);
            }
            since = event.path("id").asText();
        }
    }

    // --- the control plane itself

    /** Where recordings go to; the line that tells that everything listens knows the server's own store alone. */
    String store() {
        JsonNode told;
        try {
            told = send("GET", "health", null);
        } catch (Refused refused) {
            // A store that is away is told with a refusal.
            told = refused.told;
        }
        return told.path("oss").asText(oss);
    }

    /** One request to {@code /_localyun/{path}}; the JSON of its answer. */
    public JsonNode send(String method, String path, Object body) {
        try {
            HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + "/_localyun/" + path)).timeout(Duration.ofSeconds(90));
            if (body == null) {
                request.method(method, BodyPublishers.noBody());
            } else {
                request.header("content-type", "application/json").method(method, BodyPublishers.ofString(json.writeValueAsString(body)));
            }
            if (token != null) {
                request.header("authorization", "Bearer " + token);
            }
            return json(request.build());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private JsonNode json(HttpRequest request) {
        try {
            HttpResponse<String> answer = exchange(request, BodyHandlers.ofString(StandardCharsets.UTF_8));
            JsonNode told = json.readTree(answer.body());
            if (answer.statusCode() >= 400) {
                throw new Refused(answer.statusCode(), told);
            }
            return told;
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** An address of the store as it is reached from here; what signs it covers neither host nor port. */
    String fromHere(String address) {
        if (!storeIsMapped) {
            return address;
        }
        URI told = URI.create(address);
        return oss + told.getRawPath() + (told.getRawQuery() == null ? "" : "?" + told.getRawQuery());
    }

    byte[] fetch(String address) {
        try {
            HttpResponse<byte[]> answer = exchange(HttpRequest.newBuilder(URI.create(address)).build(), BodyHandlers.ofByteArray());
            if (answer.statusCode() != 200) {
                throw new IOException(address + ": " + answer.statusCode());
            }
            return answer.body();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private <T> HttpResponse<T> exchange(HttpRequest request, HttpResponse.BodyHandler<T> handler) throws IOException {
        try {
            return client.send(request, handler);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new IOException(error);
        }
    }

    static String escaped(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20").replace("*", "%2A").replace("%7E", "~");
    }
}
