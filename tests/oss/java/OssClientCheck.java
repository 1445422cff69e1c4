import com.aliyun.oss.ClientBuilderConfiguration;
import com.aliyun.oss.OSS;
import com.aliyun.oss.OSSClientBuilder;
import com.aliyun.oss.OSSException;
import com.aliyun.oss.common.auth.DefaultCredentialProvider;
import com.aliyun.oss.common.comm.SignVersion;
import com.aliyun.oss.model.DeleteObjectsRequest;
import com.aliyun.oss.model.GetObjectRequest;
import com.aliyun.oss.model.ListObjectsV2Request;
import com.aliyun.oss.model.ListObjectsV2Result;
import com.aliyun.oss.model.OSSObject;
import com.aliyun.oss.model.OSSObjectSummary;
import com.aliyun.oss.model.UploadFileRequest;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * The OSS dialect as the Java SDK speaks it, with signature version 1 or 4 (the argument). LOCALYUN_OSS and LOCALYUN_API
 * name the server; its clock is moved past the end of a signed URL, so each run wants a server of its own.
 */
public final class OssClientCheck {
    private static final String KEY = "rec/a b~中文+%2F/s1.ts";
    private static final int MANY = 2500;
    private static final int BIG = 100 << 20;

    private final OSS oss;
    private final String bucket = "t-" + UUID.randomUUID().toString().substring(0, 13);

    private OssClientCheck(OSS oss) {
        this.oss = oss;
    }

    public static void main(String[] args) throws Throwable {
        ClientBuilderConfiguration configuration = new ClientBuilderConfiguration();
        configuration.setSLDEnabled(true);
        configuration.setSignatureVersion(args[0].equals("v4") ? SignVersion.V4 : SignVersion.V1);
        OSS oss = OSSClientBuilder.create()
            .endpoint(setting("LOCALYUN_OSS", "http://127.0.0.1:9000"))
            .region("cn-shanghai")
            .credentialsProvider(new DefaultCredentialProvider(
                setting("LOCALYUN_KEY_ID", "testid"), setting("LOCALYUN_KEY_SECRET", "testsecret")))
            .clientConfiguration(configuration)
            .build();
        OssClientCheck check = new OssClientCheck(oss);
        oss.createBucket(check.bucket);
        check.objects();
        check.listing();
        check.multipart();
        check.signedUrl();
        oss.deleteObject(check.bucket, KEY);
        expect(!oss.doesObjectExist(check.bucket, KEY), "the object is still there");
        oss.deleteBucket(check.bucket);
        say("delete");
        oss.shutdown();
    }

    private static String setting(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null ? otherwise : value;
    }

    private static void expect(boolean good, String what) {
        if (!good) {
            throw new AssertionError(what);
        }
    }

    private static void say(String what) {
        System.out.println("ok: " + what);
    }

    private void put(String key, String body) {
        oss.putObject(bucket, key, new ByteArrayInputStream(body.getBytes(StandardCharsets.UTF_8)));
    }

    private static String text(OSSObject object) throws Exception {
        try (InputStream body = object.getObjectContent()) {
            return new String(body.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private void objects() throws Exception {
        put(KEY, "0123456789");
        expect(text(oss.getObject(bucket, KEY)).equals("0123456789"), "get");
        GetObjectRequest part = new GetObjectRequest(bucket, KEY);
        part.setRange(2, 5);
        expect(text(oss.getObject(part)).equals("2345"), "range");
        try {
            oss.getObject(bucket, "absent");
            expect(false, "an absent key was read");
        } catch (OSSException refused) {
            expect(refused.getErrorCode().equals("NoSuchKey"), refused.getErrorCode());
        }
        say("put, get, range");
    }

    private List<String> keys(String prefix) {
        List<String> keys = new ArrayList<>();
        ListObjectsV2Request request = new ListObjectsV2Request(bucket, prefix);
        request.setMaxKeys(1000);
        ListObjectsV2Result page;
        do {
            page = oss.listObjectsV2(request);
            for (OSSObjectSummary item : page.getObjectSummaries()) {
                keys.add(item.getKey());
            }
            request.setContinuationToken(page.getNextContinuationToken());
        } while (page.isTruncated());
        return keys;
    }

    private void listing() throws Exception {
        ExecutorService senders = Executors.newFixedThreadPool(8);
        List<Future<?>> sent = new ArrayList<>();
        List<String> wanted = new ArrayList<>();
        for (int number = 0; number < MANY; number++) {
            String key = String.format("many/%05d", number);
            wanted.add(key);
            sent.add(senders.submit(() -> put(key, "x")));
        }
        for (Future<?> one : sent) {
            one.get();
        }
        senders.shutdown();
        expect(keys("many/").equals(wanted), "the listing differs from what was put");
        for (int from = 0; from < MANY; from += 1000) {
            List<String> batch = wanted.subList(from, Math.min(from + 1000, MANY));
            oss.deleteObjects(new DeleteObjectsRequest(bucket).withKeys(batch));
        }
        expect(keys(null).equals(List.of(KEY)), "left: " + keys(null));
        say("list and delete " + MANY + " keys");
    }

    private void multipart() throws Throwable {
        Path folder = Files.createTempDirectory("oss-client");
        Path source = folder.resolve("source");
        Path copy = folder.resolve("copy");
        try {
            byte[] body = new byte[BIG];
            new Random(1).nextBytes(body);
            Files.write(source, body);
            UploadFileRequest upload = new UploadFileRequest(bucket, "big", source.toString(), 10 << 20, 3);
            oss.uploadFile(upload);
            oss.getObject(new GetObjectRequest(bucket, "big"), copy.toFile());
            expect(Files.mismatch(source, copy) == -1, "the 100 MB came back changed");
            oss.deleteObject(bucket, "big");
        } finally {
            Files.deleteIfExists(source);
            Files.deleteIfExists(copy);
            Files.deleteIfExists(folder);
        }
        say("multipart of 100 MB");
    }

    private static String fetch(String url) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) new URL(url).openConnection();
        int status = connection.getResponseCode();
        try (InputStream body = status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
            return status + " " + new String(body.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private void signedUrl() throws Exception {
        String url = oss.generatePresignedUrl(bucket, KEY, new Date(System.currentTimeMillis() + 60_000)).toString();
        expect(fetch(url).equals("200 0123456789"), fetch(url));
        String other = fetch(url.replace("s1.ts", "s2.ts"));
        expect(other.startsWith("403") && other.contains("SignatureDoesNotMatch"), other);
        expect(fetch(url.substring(0, url.indexOf('?'))).startsWith("403"), "no signature");
        String clock = setting("LOCALYUN_API", "http://127.0.0.1:8080") + "/_localyun/clock/advance";
        HttpURLConnection advance = (HttpURLConnection) new URL(clock).openConnection();
        advance.setRequestMethod("POST");
        advance.setRequestProperty("Content-Type", "application/json");
        advance.setDoOutput(true);
        advance.getOutputStream().write("{\"seconds\":61}".getBytes(StandardCharsets.UTF_8));
        expect(advance.getResponseCode() == 200, "advance: " + advance.getResponseCode());
        String late = fetch(url);
        expect(late.startsWith("403") && late.contains("Request has expired."), late);
        say("signed URL valid, tampered, expired");
    }
}
