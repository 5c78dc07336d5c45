import io.trino.plugin.geospatial.GeoPlugin;
import io.trino.server.testing.TestingTrinoServer;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Trino's engine in one process, on any free port. Writes its URL into the file that its argument names; ends when its
 * input does.
 */
public class Server
{
    public static void main(String[] arguments)
            throws Exception
    {
        TestingTrinoServer server = TestingTrinoServer.create();
        server.installPlugin(new GeoPlugin());
        Files.writeString(Path.of(arguments[0]), server.getBaseUrl() + "\n");
        while (System.in.read() >= 0) {
            // Until whoever started it is gone.
        }
        Runtime.getRuntime().halt(0);
    }
}
