package org.localyun.junit;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.utility.DockerImageName;

/**
 * The image as a Testcontainers class, for machines without the program. Callbacks of the container reach this machine as
 * {@code host.testcontainers.internal} ({@code Testcontainers.exposeHostPorts}); sinks need no way out.
 */
public class LocalyunContainer extends GenericContainer<LocalyunContainer> {
    public static final int API = 8080;
    public static final int RTMP = 1935;
    public static final int OSS = 9000;
    public static final int PLAY = 8088;
    private static final String TOKEN = "testcontainers";

    public LocalyunContainer(String image) {
        this(DockerImageName.parse(image));
    }

    public LocalyunContainer(DockerImageName image) {
        super(image);
        withExposedPorts(API, RTMP, OSS, PLAY);
        // Outside of its container nobody is on its machine.
        withEnv("LOCALYUN_CONTROL_TOKEN", TOKEN);
        waitingFor(Wait.forHttp("/_localyun/health").forPort(API).forStatusCode(200).withStartupTimeout(Duration.ofSeconds(60)));
    }

    /** The running server, with the addresses that lead into the container. */
    public Cloud cloud() {
        ObjectNode ready = new ObjectMapper().createObjectNode();
        ready.put("api", "http://" + at(API));
        ready.put("rtmp", "rtmp://" + at(RTMP));
        ready.put("play", "http://" + at(PLAY));
        // Another store than the container's own is told as it was set.
        String outside = getEnvMap().getOrDefault("LOCALYUN_OSS_PUBLIC_URL", getEnvMap().get("LOCALYUN_OSS_ENDPOINT"));
        ready.put("oss", outside == null ? "http://" + at(OSS) : outside);
        // Callbacks begin in the container, where the API has its own port; so do the addresses of its store.
        AccessKey key = AccessKey.first(getEnvMap().get("LOCALYUN_ACCESS_KEYS"));
        return new Cloud(ready, key, TOKEN, "http://127.0.0.1:" + API, outside == null);
    }

    private String at(int port) {
        return getHost() + ":" + getMappedPort(port);
    }
}
