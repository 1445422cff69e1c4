package org.localyun.junit;

import com.fasterxml.jackson.databind.JsonNode;

/** The control plane or the API refused. */
public final class Refused extends RuntimeException {
    private static final long serialVersionUID = 1;

    public final int status;
    public final transient JsonNode told;

    Refused(int status, JsonNode told) {
        super(status + ": " + told.path("error").asText(told.path("Code").asText() + ": " + told.path("Message").asText()));
        this.status = status;
        this.told = told;
    }
}
