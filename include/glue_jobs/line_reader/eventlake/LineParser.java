package eventlake;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One line as the values of its fields. An object is an Object[] in the order of its Shape, an array a List, an exact
 * number a BigDecimal, any other number a Long or a Double; a field that is missing is null, one of another type is
 * WRONG.
 *
 * <p>Belongs here: what a strict JSON parser takes, and what becomes of each token (eventlake.event_json reads the same
 * lines alike). Of a name that an object repeats, the last value counts. Does not belong here: rules (Rule), columns
 * (LineReader).
 */
final class LineParser {
  /** What stands where a value of another type was. */
  static final Object WRONG = new Object();

  // senders use names as they like, identities among them: none is worth keeping for good
  private static final JsonFactory FACTORY =
      new JsonFactoryBuilder().disable(JsonFactory.Feature.INTERN_FIELD_NAMES).build();
  private static final int LONGEST_NUMBER = 1000;

  private final String line;
  private final JsonParser json;
  private final boolean hasHalves;
  private final boolean keepsOthers;
  private final Map<String, String> others = new LinkedHashMap<>();
  private boolean sawWrong;

  private LineParser(String line, boolean keepsOthers) throws IOException {
    this.line = line;
    this.json = FACTORY.createParser(line);
    this.hasHalves = line.contains("\\ud") || line.contains("\\uD");
    this.keepsOthers = keepsOthers;
  }

  /** A line that was read. `others`: the fields that the shape does not name, as they were written, without nulls. */
  record Parsed(Object[] values, Map<String, String> others, boolean hasWrong) {}

  /** Null where the line is not one strict JSON object. */
  static Parsed parse(String line, Shape shape, boolean keepsOthers) {
    try {
      LineParser parser = new LineParser(line, keepsOthers);
      try (JsonParser json = parser.json) {
        if (json.nextToken() != JsonToken.START_OBJECT) {
          return null;
        }
        Object[] values = parser.object(shape, true);
        if (json.nextToken() != null) {
          return null;
        }
        return new Parsed(values, parser.others, parser.sawWrong && holdsWrong(values));
      }
    } catch (IOException error) {
      return null;
    }
  }

  private Object[] object(Shape shape, boolean isWhole) throws IOException {
    Object[] values = new Object[shape.fields.length];
    int place = -1;
    while (json.nextToken() == JsonToken.FIELD_NAME) {
      String name = json.getCurrentName();
      place = shape.placeOf(name, place);
      JsonToken token = json.nextToken();
      if (place >= 0) {
        values[place] = value(shape.fields[place], token);
      } else if (isWhole && keepsOthers) {
        String written = written(token);
        others.remove(name);
        if (token != JsonToken.VALUE_NULL) {
          others.put(name, written);
        }
      } else {
        skip(token);
      }
    }
    return values;
  }

  private Object value(Shape shape, JsonToken token) throws IOException {
    if (token == JsonToken.VALUE_NULL) {
      return null;
    }
    switch (shape.kind) {
      case STRING:
        if (token == JsonToken.VALUE_STRING) {
          return text();
        }
        break;
      case JSON:
        return token == JsonToken.VALUE_STRING ? text() : written(token);
      case BOOLEAN:
        if (token.isBoolean()) {
          return token == JsonToken.VALUE_TRUE;
        }
        break;
      case INTEGER:
        if (token == JsonToken.VALUE_NUMBER_INT) {
          requireShort();
          JsonParser.NumberType type = json.getNumberType();
          return type == JsonParser.NumberType.BIG_INTEGER ? wrong() : (Object) json.getLongValue();
        }
        break;
      case NUMBER:
        if (token.isNumeric()) {
          requireShort();
          return shape.isExact() ? exact(shape) : finite();
        }
        break;
      case OBJECT:
        if (token == JsonToken.START_OBJECT) {
          return object(shape, false);
        }
        break;
      case ARRAY:
        if (token == JsonToken.START_ARRAY) {
          return array(shape.items);
        }
        break;
    }
    skip(token);
    return wrong();
  }

  private Object wrong() {
    sawWrong = true;
    return WRONG;
  }

  /** A wrong value may have been followed by a right one of the same name. */
  private static boolean holdsWrong(Object value) {
    if (value instanceof Object[]) {
      return Arrays.stream((Object[]) value).anyMatch(LineParser::holdsWrong);
    }
    return value == WRONG || value instanceof List && ((List<?>) value).stream().anyMatch(LineParser::holdsWrong);
  }

  private List<Object> array(Shape items) throws IOException {
    List<Object> values = new ArrayList<>();
    for (JsonToken token = json.nextToken(); token != JsonToken.END_ARRAY; token = json.nextToken()) {
      values.add(value(items, token));
    }
    return values;
  }

  private Object exact(Shape shape) throws IOException {
    BigDecimal number;
    try {
      number = new BigDecimal(json.getTextCharacters(), json.getTextOffset(), json.getTextLength());
    } catch (NumberFormatException error) {
      // an exponent beyond an int: no column is so wide
      return wrong();
    }
    return shape.fits(number) ? number : wrong();
  }

  private Object finite() throws IOException {
    double number = json.getDoubleValue();
    return Double.isInfinite(number) ? wrong() : (Object) number;
  }

  private String text() throws IOException {
    String text = json.getText();
    return hasHalves ? withoutHalves(text) : text;
  }

  /** Each half of a surrogate pair as a question mark, which is what UTF-8 makes of it. */
  private static String withoutHalves(String text) {
    StringBuilder whole = new StringBuilder(text.length());
    text.codePoints().forEach(
        point -> whole.appendCodePoint(Character.MIN_SURROGATE <= point && point <= Character.MAX_SURROGATE ? '?' : point));
    return whole.toString();
  }

  /** The value as its sender wrote it. */
  private String written(JsonToken token) throws IOException {
    int start = (int) json.currentTokenLocation().getCharOffset();
    if (token.isNumeric()) {
      requireShort();
      return json.getText();
    }
    if (token.isStructStart()) {
      skip(token);
    } else {
      // the parser reads a text only when somebody asks for it
      json.finishToken();
    }
    return line.substring(start, (int) json.currentLocation().getCharOffset());
  }

  private void skip(JsonToken token) throws IOException {
    for (int open = token.isStructStart() ? 1 : 0; open > 0; ) {
      JsonToken next = json.nextToken();
      open += next.isStructStart() ? 1 : next.isStructEnd() ? -1 : 0;
      if (next.isNumeric()) {
        requireShort();
      }
    }
    if (token.isNumeric()) {
      requireShort();
    }
  }

  private void requireShort() throws IOException {
    if (json.getTextLength() > LONGEST_NUMBER) {
      throw new IOException("a number of over 1000 characters");
    }
  }
}
