// Fetch, handle and acknowledge events with .NET 8 and nothing else.
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

var url = Environment.GetEnvironmentVariable("RENKEI_URL") ?? "http://127.0.0.1:9461";
var key = Environment.GetEnvironmentVariable("RENKEI_KEY");
using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(60) };
if (key is not null) client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);

var pulled = await Call("pull", new { max = 100, lease_seconds = 60, wait_seconds = 20 });
var done = new List<object>();
foreach (var lent in pulled.GetProperty("events").EnumerateArray())
{
    // Here: store the event and the delivery's id in one transaction; do nothing when the id is there already.
    Console.WriteLine($"{lent.GetProperty("delivery")} {lent.GetProperty("event").GetProperty("data").GetProperty("atenabango")}");
    done.Add(new { delivery = lent.GetProperty("delivery").GetString(), fence = lent.GetProperty("fence").GetInt64() });
}
if (done.Count > 0) Console.WriteLine(await Call("ack", new { deliveries = done }));

async Task<JsonElement> Call(string act, object body)
{
    using var response = await client.PostAsJsonAsync($"{url}/v1/332020/subscriptions/tax_moved_in/{act}", body);
    response.EnsureSuccessStatusCode();
    return await response.Content.ReadFromJsonAsync<JsonElement>();
}
