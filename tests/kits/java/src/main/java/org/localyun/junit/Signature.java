package org.localyun.junit;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Base64;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Signature version 1.0 of the cloud's API. */
final class Signature {
    private Signature() {}

    /** The form of a call. */
    static String sign(String action, Map<String, String> parameters, AccessKey key) {
        TreeMap<String, String> form = new TreeMap<>(parameters);
        form.put("Action", action);
        form.put("Format", "JSON");
        form.put("Version", "2016-11-01");
        form.put("AccessKeyId", key.id);
        if (key.token != null) {
            // A test may send another one, to see it refused.
            form.putIfAbsent("SecurityToken", key.token);
        }
        form.put("SignatureMethod", "HMAC-SHA1");
        form.put("SignatureVersion", "1.0");
        form.put("SignatureNonce", UUID.randomUUID().toString());
        form.put("Timestamp", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
        String words = form.entrySet().stream()
                .map(pair -> Cloud.escaped(pair.getKey()) + "=" + Cloud.escaped(pair.getValue()))
                .collect(Collectors.joining("&"));
        try {
            Mac mac = Mac.getInstance("HmacSHA1");
            mac.init(new SecretKeySpec((key.secret + "&").getBytes(StandardCharsets.UTF_8), "HmacSHA1"));
            byte[] digest = mac.doFinal(("POST&%2F&" + Cloud.escaped(words)).getBytes(StandardCharsets.UTF_8));
            return words + "&Signature=" + Cloud.escaped(Base64.getEncoder().encodeToString(digest));
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }
}
