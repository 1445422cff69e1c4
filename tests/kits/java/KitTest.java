import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.localyun.junit.Cloud;
import org.localyun.junit.Localyun;
import org.localyun.junit.Refused;
import org.localyun.junit.Server;
import org.localyun.junit.Sink;

/** The kit's promises, beside the documents' example in another class: two servers at once. */
@Localyun({"clock_start=2026-03-01T02:00:00Z", "control_token=t0ken", "access_keys=old:x:disabled, a1:s1:t1"})
class KitTest {
    @RepeatedTest(4)
    void eachTestHasACleanCloud(Cloud cloud, Sink callbacks) {
        assertEquals(0, cloud.recordings().size());
        assertEquals(0, callbacks.bodies().size());
        cloud.record(callbacks.url());
        cloud.publish("s1", 5);
        cloud.advance(Duration.ofSeconds(181));
        assertTrue(cloud.awaitFile("s1", "mp4").object.contains("2026-03-01-10-00"));
        assertEquals(3, callbacks.await(3, Map.of()).size());
    }

    @Test
    void aRefusalHasTheCodeOfTheProduct(Cloud cloud) {
        Refused refused = assertThrows(Refused.class, () -> cloud.call("DescribeLiveRecordConfig", Map.of()));
        assertEquals(400, refused.status);
        assertTrue(refused.getMessage().contains("MissingDomainName"), refused.getMessage());
    }

    @Test
    void theFirstKeyThatIsNotDisabledSigns(Cloud cloud) {
        assertEquals(List.of("a1", "s1", "t1"), List.of(cloud.keyId, cloud.keySecret, cloud.securityToken));
        cloud.record(null);
        Map<String, String> withAnother = Map.of("DomainName", Cloud.DOMAIN, "SecurityToken", "another");
        Refused refused = assertThrows(Refused.class, () -> cloud.call("DescribeLiveRecordConfig", withAnother));
        assertTrue(refused.getMessage().contains("InvalidSecurityToken"), refused.getMessage());
        try (Server server = Server.start(Map.of("access_keys", "old:x:disabled"))) {
            refused = assertThrows(Refused.class, () -> server.cloud.record(null));
            assertTrue(refused.getMessage().contains("InvalidAccessKeyId.Inactive"), refused.getMessage());
        }
    }

    @Test
    void aFileThatCannotComeIsToldWithTheReason(Cloud cloud) {
        AssertionError told = assertThrows(AssertionError.class, () -> cloud.awaitFile("s1", "mp4"));
        assertTrue(told.getMessage().contains("AddLiveAppRecordConfig"), told.getMessage());
    }

    @Test
    void variablesAreThoseOfLocalyunEnv(Cloud cloud) throws Exception {
        ProcessBuilder asked = new ProcessBuilder(Server.program(), "env", "--shell", "bash", "--endpoint", cloud.url);
        asked.environment().putAll(Map.of("LOCALYUN_ACCESS_KEYS", "a1:s1:t1", "LOCALYUN_CONTROL_TOKEN", "t0ken"));
        Process process = asked.start();
        Map<String, String> told = new TreeMap<>();
        for (String line : new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).split("\n")) {
            if (line.startsWith("export ")) {
                String[] parts = line.substring("export ".length()).split("=", 2);
                told.put(parts[0], parts[1].substring(1, parts[1].length() - 1));
            }
        }
        assertEquals(new TreeMap<>(cloud.env()), told);
    }
}
