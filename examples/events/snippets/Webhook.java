// Receive webhooks with Java 17 and nothing else: java Webhook.java
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.Base64;
import java.util.Optional;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Webhook {
    private static final int MOST_BYTES = 1024 * 1024;
    private static byte[] key;

    public static void main(String[] args) throws Exception {
        String file = Optional.ofNullable(System.getenv("WEBHOOK_SECRET")).orElse("secrets/welfare");
        key = Base64.getDecoder().decode(Files.readString(Path.of(file)).strip().substring("whsec_".length()));
        int port = Integer.parseInt(Optional.ofNullable(System.getenv("PORT")).orElse("8088"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/renkei", Webhook::receive);
        server.start();
    }

    private static void receive(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readNBytes(MOST_BYTES);
        boolean good = isOfTheBus(exchange, body);
        if (good) {
            // Here: store the event and its webhook-id in one transaction; an id that is there already changes nothing.
            System.out.println(exchange.getRequestHeaders().getFirst("webhook-id"));
        }
        exchange.sendResponseHeaders(good ? 204 : 400, -1);
        exchange.close();
    }

    /** Standard Webhooks: HMAC-SHA256 over id.timestamp.body, at most five minutes old. Any one signature is enough. */
    private static boolean isOfTheBus(HttpExchange exchange, byte[] body) {
        try {
            String id = exchange.getRequestHeaders().getFirst("webhook-id");
            String timestamp = exchange.getRequestHeaders().getFirst("webhook-timestamp");
            if (Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) > 300) {
                return false;
            }
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
            byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes(StandardCharsets.US_ASCII);
            boolean found = false;
            for (String signature : exchange.getRequestHeaders().getFirst("webhook-signature").split(" ")) {
                found |= MessageDigest.isEqual(expected, signature.getBytes(StandardCharsets.US_ASCII)); // in constant time
            }
            return found;
        } catch (Exception broken) {
            return false;
        }
    }
}
