package org.localyun.junit;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestWatcher;
import org.junit.platform.commons.support.AnnotationSupport;

/** Starts the server of a test class, resets it for each test, and ends it. Classes that run in parallel have one each. */
public final class LocalyunExtension implements BeforeAllCallback, BeforeEachCallback, ParameterResolver, TestWatcher {
    private static final Namespace NAMESPACE = Namespace.create(LocalyunExtension.class);

    @Override
    public void beforeAll(ExtensionContext context) {
        server(context);
    }

    @Override
    public void beforeEach(ExtensionContext context) {
        server(context).cloud.reset();
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        Class<?> type = parameter.getParameter().getType();
        return type == Cloud.class || type == Sink.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        Cloud cloud = server(context).cloud;
        return parameter.getParameter().getType() == Sink.class ? cloud.sink("callbacks") : cloud;
    }

    @Override
    public void testFailed(ExtensionContext context, Throwable cause) {
        context.publishReportEntry("localyun", server(context).said());
    }

    private static Server server(ExtensionContext context) {
        // The store of the class that the annotation stands at ends its server when the class is over.
        ExtensionContext place = context;
        while (place.getTestMethod().isPresent()) {
            place = place.getParent().orElseThrow();
        }
        Class<?> type = place.getRequiredTestClass();
        return place.getStore(NAMESPACE).getOrComputeIfAbsent(Server.class, key -> Server.start(settings(type)), Server.class);
    }

    private static Map<String, String> settings(Class<?> type) {
        Map<String, String> settings = new LinkedHashMap<>();
        AnnotationSupport.findAnnotation(type, Localyun.class).ifPresent(annotation -> {
            for (String pair : annotation.value()) {
                String[] parts = pair.split("=", 2);
                if (parts.length != 2) {
                    throw new IllegalArgumentException("@Localyun(\"" + pair + "\"): write name=value");
                }
                settings.put(parts[0], parts[1]);
            }
        });
        return settings;
    }
}
