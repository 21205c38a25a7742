// Fetch, handle and acknowledge events with Java 17 and nothing else: java Pull.java
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Pull {
    // Enough for this page; use your JSON library for the event itself.
    private static final Pattern LENT = Pattern.compile("\"delivery\":\"([0-9]{6}-d[0-9]+)\",\"fence\":([0-9]+)");
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] args) throws Exception {
        String pulled = call("pull", "{\"max\": 100, \"lease_seconds\": 60, \"wait_seconds\": 20}");
        List<String> done = new ArrayList<>();
        Matcher lent = LENT.matcher(pulled);
        while (lent.find()) {
            // Here: store the event and the delivery's id in one transaction; do nothing when the id is there already.
            System.out.println(lent.group(1));
            done.add("{\"delivery\": \"" + lent.group(1) + "\", \"fence\": " + lent.group(2) + "}");
        }
        if (!done.isEmpty()) {
            System.out.println(call("ack", "{\"deliveries\": [" + String.join(", ", done) + "]}"));
        }
    }

    private static String call(String act, String body) throws Exception {
        String url = Optional.ofNullable(System.getenv("RENKEI_URL")).orElse("http://127.0.0.1:9461");
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + "/v1/332020/subscriptions/tax_moved_in/" + act))
            .timeout(Duration.ofSeconds(60))
            .header("content-type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body));
        Optional.ofNullable(System.getenv("RENKEI_KEY")).ifPresent(key -> request.header("authorization", "Bearer " + key));
        HttpResponse<String> response = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IllegalStateException(response.statusCode() + " " + response.body());
        }
        return response.body();
    }
}
