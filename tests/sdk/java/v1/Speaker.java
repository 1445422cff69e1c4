import com.aliyuncs.AcsResponse;
import com.aliyuncs.DefaultAcsClient;
import com.aliyuncs.RpcAcsRequest;
import com.aliyuncs.exceptions.ClientException;
import com.aliyuncs.http.ProtocolType;
import com.aliyuncs.profile.DefaultProfile;
import com.google.gson.FieldNamingPolicy;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** com.aliyun:aliyun-java-sdk-live as a speaker: a request a line in, an answer a line out (see ../../speaker.py). */
public class Speaker {
    /** The answers' classes have camel-case fields without the inner names of lists; the story reads either form. */
    private static final Gson GSON = new GsonBuilder().setFieldNamingPolicy(FieldNamingPolicy.UPPER_CAMEL_CASE).create();

    public static void main(String[] args) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            System.out.println(GSON.toJson(answer(GSON.fromJson(line, Map.class))));
        }
    }

    private static Map<String, Object> answer(Map<?, ?> asked) {
        Map<String, Object> said = new HashMap<>();
        try {
            said.put("body", call(asked));
        } catch (ClassNotFoundException error) {
            said.put("lacks", true);
        } catch (ClientException error) {
            // The SDK renames SignatureDoesNotMatch to this when its own string to sign equals the server's.
            String code = "SDK.InvalidAccessKeySecret".equals(error.getErrCode()) ? "InvalidAccessKeySecret" : error.getErrCode();
            if (code == null || code.startsWith("SDK.")) {
                said.put("broken", error.toString());
            } else {
                said.put("code", code);
                said.put("status", 0);
                said.put("message", error.getMessage());
            }
        } catch (Exception error) {
            said.put("broken", error.toString());
        }
        return said;
    }

    private static AcsResponse call(Map<?, ?> asked) throws Exception {
        Class<?> kind = Class.forName("com.aliyuncs.live.model.v20161101." + asked.get("action") + "Request");
        RpcAcsRequest<?> request = (RpcAcsRequest<?>) kind.getDeclaredConstructor().newInstance();
        request.setSysEndpoint(System.getenv("ALIBABA_CLOUD_ENDPOINT"));
        request.setSysProtocol(ProtocolType.HTTP);
        fill(request, (Map<?, ?>) asked.get("params"));
        DefaultProfile profile = DefaultProfile.getProfile("cn-shanghai", (String) asked.get("key"), (String) asked.get("secret"));
        return new DefaultAcsClient(profile).getAcsResponse(request);
    }

    /** Calls the setter of each parameter; those of lists carry a plural s. */
    private static void fill(Object target, Map<?, ?> params) throws Exception {
        for (Map.Entry<?, ?> param : params.entrySet()) {
            Method setter = setter(target.getClass(), (String) param.getKey());
            setter.invoke(target, typed(param.getValue(), setter.getGenericParameterTypes()[0]));
        }
    }

    private static Method setter(Class<?> kind, String name) throws NoSuchMethodException {
        for (Method method : kind.getMethods()) {
            boolean named = method.getName().equals("set" + name) || method.getName().equals("set" + name + "s");
            if (named && method.getParameterCount() == 1) {
                return method;
            }
        }
        throw new NoSuchMethodException(kind.getName() + ".set" + name);
    }

    private static Object typed(Object value, Type type) throws Exception {
        if (type instanceof ParameterizedType list) {
            List<Object> made = new ArrayList<>();
            for (Object item : (List<?>) value) {
                made.add(typed(item, list.getActualTypeArguments()[0]));
            }
            return made;
        }
        if (value instanceof Map<?, ?> group) {
            Object made = ((Class<?>) type).getDeclaredConstructor().newInstance();
            fill(made, group);
            return made;
        }
        if (value instanceof Double number) {
            if (type == Integer.class) {
                return number.intValue();
            }
            return type == Long.class ? (Object) number.longValue() : String.valueOf(number.longValue());
        }
        return type == String.class ? String.valueOf(value) : value;
    }
}
