// Publish one event with Java 17 and nothing else: java Publish.java
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;

public class Publish {
    private static final Set<Integer> PASSING = Set.of(408, 429, 500, 502, 503, 504);

    public static void main(String[] args) throws Exception {
        String url = Optional.ofNullable(System.getenv("RENKEI_URL")).orElse("http://127.0.0.1:9461");
        String record = """
            {"atenabango": "000000000000012", "rirekibango": "1", "jumin_shubetsu": "1", "shimei": "倉敷　太郎",
             "jusho_yubinbango": "7108565", "jusho": "岡山県倉敷市西中新田６４０番地", "ido_ymd": "2026-11-20"}
            """;
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + "/v1/332020/interfaces/moved_in/events"))
            .timeout(Duration.ofSeconds(30))
            .header("content-type", "application/json")
            .header("ce-specversion", "1.0")
            .header("ce-id", "change-2026-000123") // the number of the change: sent again, it is in effect once
            .header("ce-source", "/332020/register")
            .header("ce-type", "jp.example.moved_in")
            .POST(HttpRequest.BodyPublishers.ofString(record)); // UTF-8
        Optional.ofNullable(System.getenv("RENKEI_KEY")).ifPresent(key -> request.header("authorization", "Bearer " + key));

        HttpResponse<String> response = send(HttpClient.newHttpClient(), request.build());
        System.out.println(response.statusCode() + " " + response.body());
        System.exit(response.statusCode() == 202 ? 0 : 1); // 422: "problems" names every broken rule
    }

    /** Sends the same request again while trouble may pass. */
    private static HttpResponse<String> send(HttpClient client, HttpRequest request) throws Exception {
        for (int tries = 1; ; tries++) {
            long seconds = 1L << Math.min(tries - 1, 5);
            try {
                HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
                if (!PASSING.contains(response.statusCode()) || tries == 8) {
                    return response;
                }
                seconds = response.headers().firstValueAsLong("retry-after").orElse(seconds);
            } catch (java.io.IOException trouble) {
                if (tries == 8) {
                    throw trouble;
                }
            }
            Thread.sleep(seconds * 1000 + (long) (Math.random() * 500));
        }
    }
}
