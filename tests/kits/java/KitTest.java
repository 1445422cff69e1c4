import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.localyun.junit.Cloud;
import org.localyun.junit.Localyun;
import org.localyun.junit.Refused;
import org.localyun.junit.Sink;

/** The kit's promises, beside the documents' example in another class: two servers at once. */
@Localyun({"clock_start=2026-03-01T02:00:00Z", "control_token=t0ken", "access_keys=a1:s1"})
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
    void aFileThatCannotComeIsToldWithTheReason(Cloud cloud) {
        AssertionError told = assertThrows(AssertionError.class, () -> cloud.awaitFile("s1", "mp4"));
        assertTrue(told.getMessage().contains("AddLiveAppRecordConfig"), told.getMessage());
    }
}
