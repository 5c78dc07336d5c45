import io.trino.server.testing.TestingTrinoServer;
import io.trino.spi.Plugin;

import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

/**
 * A Trino server in one process, on any free port. Each argument adds a catalog: its name, its connector's plugin
 * class and its properties' file, with colons between. Prints its URL; ends when its input does.
 */
public class Server
{
    public static void main(String[] arguments)
            throws Exception
    {
        TestingTrinoServer server = TestingTrinoServer.create();
        for (String argument : arguments) {
            String[] parts = argument.split(":", 3);
            server.installPlugin((Plugin) Class.forName(parts[1]).getDeclaredConstructor().newInstance());
            Properties read = new Properties();
            try (Reader reader = Files.newBufferedReader(Path.of(parts[2]))) {
                read.load(reader);
            }
            Map<String, String> properties = new HashMap<>();
            read.forEach((key, value) -> properties.put((String) key, (String) value));
            server.createCatalog(parts[0], properties.remove("connector.name"), properties);
        }
        System.out.println("url " + server.getBaseUrl());
        System.out.flush();
        while (System.in.read() >= 0) {
            // Until whoever started it is gone.
        }
        Runtime.getRuntime().halt(0);
    }
}
