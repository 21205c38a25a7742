// Publish one event with .NET 8 and nothing else.
using System.Net;
using System.Net.Http.Headers;
using System.Text;

var url = Environment.GetEnvironmentVariable("RENKEI_URL") ?? "http://127.0.0.1:9461";
var key = Environment.GetEnvironmentVariable("RENKEI_KEY");
const string record = """
    {"atenabango": "000000000000012", "rirekibango": "1", "jumin_shubetsu": "1", "shimei": "倉敷　太郎",
     "jusho_yubinbango": "7108565", "jusho": "岡山県倉敷市西中新田６４０番地", "ido_ymd": "2026-11-20"}
    """;

using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
for (var tries = 1; ; tries++)
{
    using var request = new HttpRequestMessage(HttpMethod.Post, $"{url}/v1/332020/interfaces/moved_in/events")
    {
        Content = new StringContent(record, Encoding.UTF8, "application/json"),
    };
    request.Headers.Add("ce-specversion", "1.0");
    request.Headers.Add("ce-id", "change-2026-000123"); // the number of the change: sent again, it is in effect once
    request.Headers.Add("ce-source", "/332020/register");
    request.Headers.Add("ce-type", "jp.example.moved_in");
    if (key is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);

    var wait = TimeSpan.FromSeconds(1 << Math.Min(tries - 1, 5));
    try
    {
        using var response = await client.SendAsync(request);
        var passing = (int)response.StatusCode is 408 or 429 or 500 or 502 or 503 or 504;
        if (!passing || tries == 8)
        {
            Console.WriteLine($"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
            return response.StatusCode == HttpStatusCode.Accepted ? 0 : 1; // 422: "problems" names every broken rule
        }
        wait = response.Headers.RetryAfter?.Delta ?? wait;
    }
    catch (Exception trouble) when (trouble is HttpRequestException or TaskCanceledException && tries < 8)
    {
        // Perhaps it was taken, perhaps not: the same id goes again.
    }
    await Task.Delay(wait + TimeSpan.FromMilliseconds(Random.Shared.Next(500)));
}
