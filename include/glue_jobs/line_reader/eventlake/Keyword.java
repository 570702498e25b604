package eventlake;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/**
 * What the keywords of a contract say of one value, as eventlake.row_rules defines them.
 *
 * <p>Belongs here: a value against an argument, the order of two values. Does not belong here: where values lie (Rule);
 * types and exact numbers, which are judged when they are read (LineParser).
 */
final class Keyword {
  private Keyword() {}

  /** Whether the keyword says anything of a value of this type. */
  static boolean isAbout(String keyword, Object value) {
    switch (keyword) {
      case "required":
      case "enum":
      case "const":
        return true;
      case "pattern":
      case "minLength":
      case "maxLength":
        return value instanceof String;
      case "minItems":
      case "maxItems":
        return value instanceof List;
      default:
        return value instanceof Number;
    }
  }

  /** Whether a value fulfils the keyword; one of another type than the keyword's does. */
  static Predicate<Object> judge(String keyword, JsonNode argument) {
    long size = argument.path("exact").asLong();
    switch (keyword) {
      case "pattern":
        Pattern pattern = Pattern.compile(argument.asText());
        return value -> !(value instanceof String) || pattern.matcher((String) value).find();
      case "minLength":
        return value -> !(value instanceof String) || length(value) >= size;
      case "maxLength":
        return value -> !(value instanceof String) || length(value) <= size;
      case "minItems":
        return value -> !(value instanceof List) || ((List<?>) value).size() >= size;
      case "maxItems":
        return value -> !(value instanceof List) || ((List<?>) value).size() <= size;
      case "const":
        return equal(argument);
      case "enum":
        return anyOf(argument);
      default:
        IntPredicate order = order(operatorOf(keyword));
        Number limit = number(argument);
        return value -> !(value instanceof Number) || order.test(compared((Number) value, limit));
    }
  }

  private static String operatorOf(String keyword) {
    switch (keyword) {
      case "minimum":
        return ">=";
      case "maximum":
        return "<=";
      case "exclusiveMinimum":
        return ">";
      case "exclusiveMaximum":
        return "<";
      default:
        throw new IllegalArgumentException("a rule of the keyword " + keyword + ", which nobody knows");
    }
  }

  private static Predicate<Object> anyOf(JsonNode arguments) {
    Set<Object> texts = new HashSet<>();
    Predicate<Object> others = value -> false;
    for (JsonNode argument : arguments) {
      if (argument.isTextual()) {
        texts.add(argument.asText());
      } else {
        others = others.or(equal(argument));
      }
    }
    Predicate<Object> rest = others;
    return value -> texts.contains(value) || rest.test(value);
  }

  private static Predicate<Object> equal(JsonNode argument) {
    if (argument.isTextual()) {
      return argument.asText()::equals;
    }
    if (argument.isBoolean()) {
      return Boolean.valueOf(argument.asBoolean())::equals;
    }
    Number number = number(argument);
    return value -> value instanceof Number && compared((Number) value, number) == 0;
  }

  /** Exact, or the nearest double where the rule means doubles. */
  private static Number number(JsonNode argument) {
    if (argument.has("double")) {
      return Double.valueOf(argument.get("double").asText());
    }
    BigDecimal exact = new BigDecimal(argument.get("exact").asText());
    try {
      return exact.longValueExact();
    } catch (ArithmeticException error) {
      return exact;
    }
  }

  private static int compared(Number value, Number argument) {
    return argument instanceof Double ? asDoubles(value, argument) : exactly(value, argument);
  }

  static int asDoubles(Number left, Number right) {
    double one = left.doubleValue();
    double other = right.doubleValue();
    // not Double.compare, to which 0.0 and -0.0 are two numbers
    return one < other ? -1 : one > other ? 1 : 0;
  }

  static int exactly(Number left, Number right) {
    if (left instanceof Long && right instanceof Long) {
      return Long.compare((Long) left, (Long) right);
    }
    return exact(left).compareTo(exact(right));
  }

  private static BigDecimal exact(Number number) {
    if (number instanceof BigDecimal) {
      return (BigDecimal) number;
    }
    return number instanceof Long ? BigDecimal.valueOf((Long) number) : new BigDecimal(number.doubleValue());
  }

  /** Whether the order of two values, as a comparator tells it, is the one that an operator asks for. */
  static IntPredicate order(String operator) {
    switch (operator) {
      case "<":
        return order -> order < 0;
      case "<=":
        return order -> order <= 0;
      case ">":
        return order -> order > 0;
      case ">=":
        return order -> order >= 0;
      case "==":
        return order -> order == 0;
      case "!=":
        return order -> order != 0;
      default:
        throw new IllegalArgumentException("a comparison by " + operator + ", which nobody knows");
    }
  }

  private static long length(Object text) {
    return ((String) text).codePointCount(0, ((String) text).length());
  }

  /** As UTF-8 orders texts; String.compareTo puts signs beyond 16 bits before some within. */
  static int inCodePoints(String left, String right) {
    int shorter = Math.min(left.length(), right.length());
    for (int place = 0; place < shorter; place++) {
      char one = left.charAt(place);
      char other = right.charAt(place);
      if (one != other) {
        boolean ofPairs = Character.isSurrogate(one) != Character.isSurrogate(other);
        return ofPairs ? Boolean.compare(Character.isSurrogate(one), Character.isSurrogate(other)) : one - other;
      }
    }
    return left.length() - right.length();
  }
}
