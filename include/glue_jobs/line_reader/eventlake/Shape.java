package eventlake;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * The type of a field as contracts know it, and which values it takes (eventlake.table_schema.ColumnShape).
 *
 * <p>Belongs here: what a value of the type is. Does not belong here: reading it (LineParser), rules about it (Rule).
 */
final class Shape {
  enum Kind { STRING, INTEGER, NUMBER, BOOLEAN, OBJECT, ARRAY, JSON }

  final Kind kind;
  /** Digits, and digits after the point, of an exact number; 0 and 0 for every other type. */
  final int precision;
  final int scale;
  /** Of an object: its fields, and where each lies. */
  final String[] names;
  final Shape[] fields;
  private final Map<String, Integer> places = new HashMap<>();
  /** The place that was asked for after each one the last time: a sender writes its fields in one order. */
  private final int[] following;
  /** Of an array. */
  final Shape items;
  /** What the table gets in place of a text; null where it gets the text. */
  final Protector.Way protection;

  Shape(JsonNode told) {
    kind = Kind.valueOf(told.get("kind").asText().toUpperCase(Locale.ROOT));
    JsonNode decimal = told.path("decimal");
    precision = decimal.path(0).asInt();
    scale = decimal.path(1).asInt();
    JsonNode children = told.path("fields");
    names = new String[children.size()];
    following = new int[children.size() + 1];
    fields = new Shape[children.size()];
    for (int place = 0; place < fields.length; place++) {
      names[place] = children.get(place).get("name").asText();
      fields[place] = new Shape(children.get(place));
      places.put(names[place], place);
    }
    items = told.hasNonNull("items") ? new Shape(told.get("items")) : null;
    protection = told.hasNonNull("protection") ? Protector.Way.valueOf(told.get("protection").asText()) : null;
  }

  boolean isExact() {
    return precision > 0;
  }

  /** Where an object of this type keeps the field, or -1 where no contract names it. */
  int placeOf(String name) {
    Integer place = places.get(name);
    return place == null ? -1 : place;
  }

  /** The same, where the field before it lay at a known place, or -1: found at once in lines that are like others. */
  int placeOf(String name, int before) {
    int likely = following[before + 1];
    if (likely < names.length && names[likely].equals(name)) {
      return likely;
    }
    int place = placeOf(name);
    following[before + 1] = Math.max(place, 0);
    return place;
  }

  /** Whether a number is exactly one of this type, zeros at its end aside. */
  boolean fits(BigDecimal number) {
    if (number.signum() == 0) {
      return true;
    }
    BigDecimal plain = number.stripTrailingZeros();
    // as long: a scale may be as far from zero as an int can be
    return plain.scale() <= scale && (long) plain.precision() - plain.scale() <= precision - scale;
  }
}
