// Receive webhooks with ASP.NET Core 8 (dotnet new web).
using System.Security.Cryptography;
using System.Text;

const int mostBytes = 1024 * 1024;
var file = Environment.GetEnvironmentVariable("WEBHOOK_SECRET") ?? "secrets/welfare";
var key = Convert.FromBase64String(File.ReadAllText(file).Trim()["whsec_".Length..]);
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(options => options.Limits.MaxRequestBodySize = mostBytes);
var app = builder.Build();

app.MapPost("/renkei", async (HttpRequest request) =>
{
    using var memory = new MemoryStream();
    await request.Body.CopyToAsync(memory);
    string id = request.Headers["webhook-id"].ToString(), timestamp = request.Headers["webhook-timestamp"].ToString();
    if (!long.TryParse(timestamp, out var at) || Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - at) > 300) return Results.BadRequest();
    byte[] content = [.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. memory.ToArray()];
    var expected = Encoding.ASCII.GetBytes("v1," + Convert.ToBase64String(HMACSHA256.HashData(key, content)));
    var good = request.Headers["webhook-signature"].ToString().Split(' ')
        .Count(each => CryptographicOperations.FixedTimeEquals(expected, Encoding.ASCII.GetBytes(each))) > 0; // in constant time
    if (!good) return Results.BadRequest();
    // Here: store the event and its webhook-id in one transaction; an id that is there already changes nothing.
    Console.WriteLine(id);
    return Results.NoContent();
});
app.Run($"http://127.0.0.1:{Environment.GetEnvironmentVariable("PORT") ?? "8088"}");
