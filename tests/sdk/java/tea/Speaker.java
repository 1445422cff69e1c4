import com.aliyun.live20161101.Client;
import com.aliyun.tea.TeaException;
import com.aliyun.tea.TeaModel;
import com.aliyun.teaopenapi.models.Config;
import com.google.gson.Gson;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** com.aliyun:live20161101 as a speaker: a request a line in, an answer a line out (see ../../speaker.py). */
public class Speaker {
    public static void main(String[] args) throws Exception {
        Gson gson = new Gson();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            Map<?, ?> asked = gson.fromJson(line, Map.class);
            System.out.println(gson.toJson(answer(asked)));
        }
    }

    private static Map<String, Object> answer(Map<?, ?> asked) {
        Map<String, Object> said = new HashMap<>();
        try {
            said.put("body", call(asked));
        } catch (NoSuchMethodException error) {
            said.put("lacks", true);
        } catch (TeaException error) {
            Object status = error.getData() == null ? null : error.getData().get("statusCode");
            said.put("code", error.getCode());
            said.put("status", status instanceof Number number ? number.intValue() : 0);
            said.put("message", error.getMessage());
        } catch (Throwable error) {
            said.put("broken", error.toString());
        }
        return said;
    }

    private static Object call(Map<?, ?> asked) throws Throwable {
        String action = (String) asked.get("action");
        Method method = method(Character.toLowerCase(action.charAt(0)) + action.substring(1));
        Config config = new Config()
            .setAccessKeyId((String) asked.get("key"))
            .setAccessKeySecret((String) asked.get("secret"))
            .setEndpoint(System.getenv("ALIBABA_CLOUD_ENDPOINT"))
            .setProtocol("http");
        TeaModel request = (TeaModel) method.getParameterTypes()[0].getDeclaredConstructor().newInstance();
        @SuppressWarnings("unchecked")
        Map<String, Object> params = (Map<String, Object>) whole(asked.get("params"));
        TeaModel.toModel(params, request);
        try {
            TeaModel response = (TeaModel) method.invoke(new Client(config), request);
            return response.toMap().get("body");
        } catch (InvocationTargetException error) {
            throw error.getCause();
        }
    }

    private static Method method(String name) throws NoSuchMethodException {
        for (Method method : Client.class.getMethods()) {
            if (method.getName().equals(name) && method.getParameterCount() == 1) {
                return method;
            }
        }
        throw new NoSuchMethodException(name);
    }

    /** Gson reads every number as a Double; the models want whole ones. */
    private static Object whole(Object value) {
        if (value instanceof Double number) {
            return number.intValue();
        }
        if (value instanceof List<?> list) {
            List<Object> made = new ArrayList<>();
            list.forEach(item -> made.add(whole(item)));
            return made;
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> made = new HashMap<>();
            map.forEach((name, item) -> made.put((String) name, whole(item)));
            return made;
        }
        return value;
    }
}
