package org.localyun.junit;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/** A key of the cloud's API, as a client has it. */
final class AccessKey {
    final String id;
    final String secret;

    /** The security token that goes with it; null: it needs none. */
    final String token;

    AccessKey(String id, String secret, String token) {
        this.id = id;
        this.secret = secret;
        this.token = token;
    }

    /**
     * The key to sign with, of those of the setting {@code access_keys} (null: not set): the first that is not disabled. Where all of them
     * are, the first one: the server's refusal says why it does not work.
     */
    static AccessKey first(String keys) {
        List<String[]> pairs = Arrays.stream((keys == null ? "" : keys).split(","))
                .map(String::trim)
                .filter(pair -> !pair.isEmpty())
                .map(pair -> pair.split(":", 3))
                .collect(Collectors.toList());
        for (String[] parts : pairs) {
            String token = parts.length > 2 ? parts[2] : null;
            if (!"disabled".equals(token)) {
                return new AccessKey(parts[0], parts[1], token);
            }
        }
        return pairs.isEmpty() ? new AccessKey("testid", "testsecret", null) : new AccessKey(pairs.get(0)[0], pairs.get(0)[1], null);
    }
}
