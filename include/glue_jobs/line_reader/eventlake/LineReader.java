package eventlake;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.regex.Pattern;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.api.java.UDF3;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.types.DataType;

/**
 * Reads a line of raw, once, as the row that its table would get, and says whether the row is bad.
 *
 * <p>What a line has to be is told as data, by eventlake_spark.line_reading: the shape of its fields, its rules, the
 * table's columns. Belongs here: what each column is made of. Does not belong here: JSON (LineParser), rules (Rule).
 *
 * <p>It counts lines: so it has to be given all lines of an object, in their order, in one task.
 */
public final class LineReader implements UDF3<String, String, Integer, Row> {
  private static final long serialVersionUID = 1L;

  private final String told;
  private final byte[] key;
  private transient Reading reading;
  private transient String path;
  private transient String rawObject;
  private transient int number;

  private LineReader(String told, byte[] key) {
    this.told = told;
    this.key = key;
  }

  /**
   * The table's row, the text of a bad one, and the number of the line, as a struct of `made`. Null for a blank line.
   * Of a line that cannot be read, the columns are null.
   *
   * @param path of the object that the line came from: the key is what follows the root
   * @param number of the line within its object, where it is known; else the line is counted
   */
  public static Column column(
      String told, byte[] key, DataType made, Column line, Column path, Column number) {
    // said to have another result each time: or a filter behind it would read each line once more
    return functions.udf(new LineReader(told, key), made).asNondeterministic().apply(line, path, number);
  }

  @Override
  public Row call(String line, String linePath, Integer known) throws IOException {
    if (reading == null) {
      reading = new Reading(new ObjectMapper().readTree(told), key);
    }
    if (!linePath.equals(path)) {
      path = linePath;
      rawObject = keyAfter(reading.root, path);
      number = 0;
    }
    number += 1;
    if (isBlank(line)) {
      return null;
    }
    LineParser.Parsed parsed = LineParser.parse(line, reading.shape, reading.keepsOthers);
    Event event = parsed == null ? null : new Event(reading, parsed, line);
    boolean isBad = event == null || reading.isBad(event);
    return RowFactory.create(reading.row(event, rawObject), isBad ? line : null, known == null ? number : known);
  }

  private static String keyAfter(String root, String path) {
    int start = path.indexOf(root);
    if (start < 0) {
      throw new IllegalArgumentException("an object at " + path + ", which is not below " + root);
    }
    return path.substring(start + root.length());
  }

  private static boolean isBlank(String line) {
    for (int place = 0; place < line.length(); place++) {
      char sign = line.charAt(place);
      if (sign != ' ' && (sign < '\t' || sign > '\r')) {
        return false;
      }
    }
    return true;
  }

  /** A line that could be read, and what several columns are made of. */
  private static final class Event {
    final Reading reading;
    final LineParser.Parsed parsed;
    final String line;
    final Instant created;
    final Instant ingested;

    Event(Reading reading, LineParser.Parsed parsed, String line) {
      this.reading = reading;
      this.parsed = parsed;
      this.line = line;
      created = reading.moments.parse(value("created_datetime"));
      ingested = reading.moments.parse(lake("ingested_at"));
    }

    Object value(String name) {
      return parsed.values()[reading.shape.placeOf(name)];
    }

    Object lake(String name) {
      Object lake = value("_lake");
      return lake instanceof Object[] ? ((Object[]) lake)[reading.lake.placeOf(name)] : null;
    }
  }

  /** What a column is made of: of the field of its name, unless it is one of the lake's own. */
  private enum Made {
    EVENT_UUID, CREATED_AT, CREATED_DATETIME, EVENT_DATE, INGESTED_AT, SHARD_ID, SEQUENCE_NUMBER, RAW_OBJECT, LOAD_ID,
    OTHER_FIELDS, BODY, FIELD;

    static Made of(String column, boolean hasContracts) {
      // a contract may name a field so
      if (column.equals("body") && hasContracts) {
        return FIELD;
      }
      for (Made made : values()) {
        if (made.name().toLowerCase(Locale.ROOT).equals(column)) {
          return made;
        }
      }
      return FIELD;
    }
  }

  /** What `told` says, made ready. */
  private static final class Reading {
    private static final Rule[] NO_RULES = {};

    private final Shape shape;
    private final Shape lake;
    private final String eventType;
    private final Rule[] rulesOfAll;
    private final Map<String, Rule[]> rulesOfSubtype = new HashMap<>();
    private final Made[] columns;
    /** Of a column that is a field: where it lies in the line. */
    private final int[] places;
    private final boolean keepsOthers;
    private final String root;
    private final String loadId;
    private final Pattern added;
    private final Protector protector;
    private final MomentReader moments;

    Reading(JsonNode told, byte[] key) {
      shape = new Shape(told.get("line"));
      lake = shape.fields[shape.placeOf("_lake")];
      protector = new Protector(key);
      eventType = told.get("event_type").textValue();
      rulesOfAll = rules(told.get("rules"));
      told.get("rules_of_subtype").fields()
          .forEachRemaining(each -> rulesOfSubtype.put(each.getKey(), rules(each.getValue())));
      columns = new Made[told.get("columns").size()];
      places = new int[columns.length];
      for (int column = 0; column < columns.length; column++) {
        String name = told.get("columns").get(column).asText();
        columns[column] = Made.of(name, eventType != null);
        places[column] = shape.placeOf(name);
      }
      keepsOthers = Arrays.asList(columns).contains(Made.OTHER_FIELDS);
      root = told.get("root").asText();
      loadId = told.get("load_id").asText();
      added = Pattern.compile(told.get("added").asText());
      moments = new MomentReader(Pattern.compile(told.get("moment").asText()));
    }

    private Rule[] rules(JsonNode each) {
      Rule[] rules = new Rule[each.size()];
      for (int number = 0; number < rules.length; number++) {
        rules[number] = new Rule(each.get(number), shape);
      }
      return rules;
    }

    Row row(Event event, String rawObject) {
      Object[] row = new Object[columns.length];
      for (int column = 0; column < row.length; column++) {
        switch (columns[column]) {
          case RAW_OBJECT:
            row[column] = rawObject;
            break;
          case LOAD_ID:
            row[column] = loadId;
            break;
          default:
            row[column] = event == null ? null : column(event, column);
        }
      }
      return RowFactory.create(row);
    }

    private Object column(Event event, int column) {
      switch (columns[column]) {
        case EVENT_UUID:
          String uuid = text(event.value("event_uuid"));
          return uuid == null ? null : uuid.toLowerCase(Locale.ROOT);
        case CREATED_AT:
          return event.created == null ? null : BigDecimal.valueOf(micros(event.created), 6);
        case CREATED_DATETIME:
          return event.created;
        case EVENT_DATE:
          return event.created == null ? null : LocalDate.ofInstant(event.created, ZoneOffset.UTC);
        case INGESTED_AT:
          return event.ingested;
        case SHARD_ID:
          return text(event.lake("shard_id"));
        case SEQUENCE_NUMBER:
          return text(event.lake("sequence_number"));
        case OTHER_FIELDS:
          return others(event.parsed.others());
        case BODY:
          return added.matcher(event.line).replaceAll("}");
        default:
          return converted(event.parsed.values()[places[column]], shape.fields[places[column]]);
      }
    }

    private boolean isBad(Event event) {
      if (event.parsed.hasWrong() || event.created == null || event.ingested == null) {
        return true;
      }
      if (eventType != null && !eventType.equals(event.value("event_type"))) {
        return true;
      }
      Object[] values = event.parsed.values();
      return anyBroken(rulesOfAll, values)
          || anyBroken(rulesOfSubtype.getOrDefault(event.value("event_subtype"), NO_RULES), values);
    }

    private static boolean anyBroken(Rule[] rules, Object[] values) {
      for (Rule rule : rules) {
        if (rule.isBroken(values)) {
          return true;
        }
      }
      return false;
    }

    /** A value as Spark takes it; null for one of another type. */
    private Object converted(Object value, Shape shape) {
      if (value == null || value == LineParser.WRONG) {
        return null;
      }
      switch (shape.kind) {
        case NUMBER:
          if (!shape.isExact()) {
            return value;
          }
          BigDecimal number = (BigDecimal) value;
          // of a zero, the exponent may be anything
          return number.signum() == 0
              ? BigDecimal.valueOf(0, shape.scale)
              : number.setScale(shape.scale, RoundingMode.UNNECESSARY);
        case OBJECT:
          Object[] values = (Object[]) value;
          Object[] fields = new Object[values.length];
          for (int place = 0; place < fields.length; place++) {
            fields[place] = converted(values[place], shape.fields[place]);
          }
          return RowFactory.create(fields);
        case ARRAY:
          List<Object> items = new ArrayList<>();
          for (Object item : (List<?>) value) {
            items.add(converted(item, shape.items));
          }
          return items;
        case STRING:
          return shape.protection == null ? value : protector.protect((String) value, shape.protection);
        default:
          return value;
      }
    }
  }

  private static String text(Object value) {
    return value instanceof String ? (String) value : null;
  }

  private static long micros(Instant moment) {
    return moment.getEpochSecond() * 1_000_000 + moment.getNano() / 1_000;
  }

  private static String others(Map<String, String> written) {
    if (written.isEmpty()) {
      return null;
    }
    StringJoiner members = new StringJoiner(",", "{", "}");
    written.forEach((name, value) -> members.add('"' + quoted(name) + "\":" + value));
    return members.toString();
  }

  private static String quoted(String name) {
    return new String(JsonStringEncoder.getInstance().quoteAsString(name));
  }
}
