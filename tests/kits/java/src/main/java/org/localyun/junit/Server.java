package org.localyun.junit;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ExtensionContext.Store.CloseableResource;

/** A process of the program, with a folder of its own that goes away with it. */
@SuppressWarnings("deprecation") // AutoCloseable is enough from JUnit 5.13 on, and not before.
public final class Server implements AutoCloseable, CloseableResource {
    private static final long READY_WITHIN_S = 30;
    private static final long ENDS_WITHIN_S = 20;
    private static final int LOG_SHOWN = 8000;
    /** Settings by which recordings go to another store than the server's own. */
    private static final Set<String> ELSEWHERE = Set.of("oss_endpoint", "oss_public_url");

    public final Cloud cloud;
    private final Process process;
    private final Path folder;
    private final Thread abandoned;

    private Server(Process process, Path folder, JsonNode ready, Map<String, String> settings) {
        this.process = process;
        this.folder = folder;
        AccessKey key = AccessKey.first(settings.get("access_keys"));
        Cloud asPrinted = new Cloud(ready, key, settings.get("control_token"));
        if (settings.keySet().stream().anyMatch(name -> ELSEWHERE.contains(name.replace('-', '_')))) {
            ((ObjectNode) ready).put("oss", asPrinted.store());
            this.cloud = new Cloud(ready, key, settings.get("control_token"));
        } else {
            this.cloud = asPrinted;
        }
        // A JVM that ends early takes its server along.
        this.abandoned = new Thread(process::destroy);
        Runtime.getRuntime().addShutdownHook(abandoned);
    }

    /** The path of the program: {@code LOCALYUN_BIN}, else that of PATH. */
    public static String program() {
        String named = System.getenv("LOCALYUN_BIN");
        if (named != null && !named.isEmpty()) {
            return named;
        }
        for (String place : System.getenv().getOrDefault("PATH", "").split(File.pathSeparator)) {
            Path path = Path.of(place, "localyun");
            if (!place.isEmpty() && Files.isExecutable(path)) {
                return path.toString();
            }
        }
        throw new IllegalStateException("localyun is not installed: no LOCALYUN_BIN, none on PATH");
    }

    /** Starts a server on free ports. {@code settings} are those of {@code localyun serve}, with underscores. */
    public static Server start(Map<String, String> settings) {
        Process process = null;
        try {
            Path folder = Files.createTempDirectory("localyun-");
            Map<String, String> wanted = new LinkedHashMap<>();
            for (String listener : new String[] {"api_addr", "rtmp_addr", "oss_addr", "play_addr"}) {
                // Every listener takes a free port, so that any number of servers stand side by side.
                wanted.put(listener, "127.0.0.1:0");
            }
            wanted.put("data_dir", folder.resolve("data").toString());
            wanted.putAll(settings);
            ProcessBuilder builder = new ProcessBuilder(program(), "serve");
            builder.environment().keySet().removeIf(name -> name.startsWith("LOCALYUN_"));
            wanted.forEach((name, value) ->
                    builder.environment().put("LOCALYUN_" + name.replace('-', '_').toUpperCase(Locale.ROOT), value));
            builder.redirectError(folder.resolve("localyun.log").toFile());
            process = builder.start();
            return new Server(process, folder, ready(process, folder), wanted);
        } catch (IOException error) {
            if (process != null) {
                process.destroyForcibly();
            }
            throw new UncheckedIOException(error);
        } catch (RuntimeException error) {
            if (process != null) {
                process.destroyForcibly();
            }
            throw error;
        }
    }

    private static JsonNode ready(Process process, Path folder) throws IOException {
        BufferedReader out = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        CompletableFuture<String> line = CompletableFuture.supplyAsync(() -> {
            try {
                return out.readLine();
            } catch (IOException error) {
                return null;
            }
        });
        String told = null;
        try {
            told = line.get(READY_WITHIN_S, TimeUnit.SECONDS);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException | TimeoutException error) {
            // Said below.
        }
        if (told == null) {
            throw new IOException("localyun did not start:\n" + log(folder));
        }
        return new ObjectMapper().readTree(told);
    }

    /** The end of the server's log. */
    public String said() {
        return log(folder);
    }

    private static String log(Path folder) {
        try {
            String text = Files.readString(folder.resolve("localyun.log"), StandardCharsets.UTF_8);
            return text.substring(Math.max(0, text.length() - LOG_SHOWN));
        } catch (IOException error) {
            return error.toString();
        }
    }

    @Override
    public void close() {
        try {
            Runtime.getRuntime().removeShutdownHook(abandoned);
        } catch (IllegalStateException error) {
            // The JVM is ending already.
        }
        process.destroy();
        try {
            if (!process.waitFor(ENDS_WITHIN_S, TimeUnit.SECONDS)) {
                process.destroyForcibly().waitFor();
            }
        } catch (InterruptedException error) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
        try (Stream<Path> paths = Files.walk(folder)) {
            paths.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(File::delete);
        } catch (IOException error) {
            // A temporary folder that stays does no harm.
        }
    }
}
