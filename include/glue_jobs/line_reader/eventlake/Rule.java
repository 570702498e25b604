package eventlake;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.function.IntPredicate;
import java.util.function.Predicate;

/**
 * One keyword about the values at a path of an event, as eventlake.row_rules defines it; that module's explanation is
 * the reference, and a test holds both to the same lines.
 *
 * <p>Belongs here: finding the values, and what has to hold before a rule asks for them. Does not belong here: what a
 * keyword says of one (Keyword). No event comes here that holds a value of a wrong type.
 */
final class Rule {
  private static final int EACH_ITEM = -1;

  private final int[] path;
  private final Predicate<Object> holds;
  private final Condition[] when;
  private final Comparison comparison;
  private final boolean isRequired;

  Rule(JsonNode told, Shape root) {
    isRequired = told.get("keyword").asText().equals("required");
    path = places(told.get("path"), root);
    comparison = told.get("keyword").asText().equals("compare") ? new Comparison(told.get("argument"), root) : null;
    holds = isRequired || comparison != null ? null : Keyword.judge(told.get("keyword").asText(), told.get("argument"));
    JsonNode conditions = told.path("when");
    when = new Condition[conditions.size()];
    for (int number = 0; number < when.length; number++) {
      when[number] = new Condition(conditions.get(number), root);
    }
  }

  boolean isBroken(Object[] event) {
    for (Condition condition : when) {
      if (!condition.isMet(event)) {
        return false;
      }
    }
    if (isRequired) {
      return isMissing(event, 0);
    }
    if (comparison != null) {
      Object right = single(event, comparison.right);
      return right != null && anyAt(event, path, 0, value -> !comparison.holds(value, right));
    }
    return anyAt(event, path, 0, value -> !holds.test(value));
  }

  /** Whether an object that holds the path's last field is there, and the field is not. */
  private boolean isMissing(Object holder, int depth) {
    if (holder == null) {
      return false;
    }
    if (path[depth] == EACH_ITEM) {
      for (Object item : (List<?>) holder) {
        if (isMissing(item, depth + 1)) {
          return true;
        }
      }
      return false;
    }
    Object value = ((Object[]) holder)[path[depth]];
    return depth == path.length - 1 ? value == null : isMissing(value, depth + 1);
  }

  private static boolean anyAt(Object value, int[] path, int depth, Predicate<Object> asked) {
    if (value == null) {
      return false;
    }
    if (depth == path.length) {
      return asked.test(value);
    }
    if (path[depth] != EACH_ITEM) {
      return anyAt(((Object[]) value)[path[depth]], path, depth + 1, asked);
    }
    for (Object item : (List<?>) value) {
      if (anyAt(item, path, depth + 1, asked)) {
        return true;
      }
    }
    return false;
  }

  private static Object single(Object[] event, int[] path) {
    Object value = event;
    for (int place : path) {
      if (value == null) {
        return null;
      }
      value = ((Object[]) value)[place];
    }
    return value;
  }

  private static int[] places(JsonNode told, Shape root) {
    int[] path = new int[told.size()];
    Shape shape = root;
    for (int depth = 0; depth < path.length; depth++) {
      String part = told.get(depth).asText();
      path[depth] = part.equals("[]") ? EACH_ITEM : shape.placeOf(part);
      if (path[depth] == EACH_ITEM && shape.items == null) {
        throw new IllegalArgumentException("a rule about " + told + ", which is no part of the table");
      }
      shape = path[depth] == EACH_ITEM ? shape.items : shape.fields[path[depth]];
    }
    return path;
  }

  /** One of the things that have to hold before a rule asks anything: a value that is there and says so. */
  private static final class Condition {
    private final int[] path;
    private final Predicate<Object> holds;

    Condition(JsonNode told, Shape root) {
      path = places(told.get("path"), root);
      String keyword = told.get("keyword").asText();
      Predicate<Object> judge = keyword.equals("required") ? value -> true : Keyword.judge(keyword, told.get("argument"));
      holds = value -> Keyword.isAbout(keyword, value) && judge.test(value);
    }

    boolean isMet(Object[] event) {
      return anyAt(event, path, 0, holds);
    }
  }

  /** How a value stands to another one of the same event. */
  private static final class Comparison {
    private final int[] right;
    private final IntPredicate order;
    private final boolean asDouble;

    Comparison(JsonNode told, Shape root) {
      right = places(told.get("right"), root);
      order = Keyword.order(told.get("operator").asText());
      asDouble = told.get("as_double").asBoolean();
    }

    boolean holds(Object left, Object other) {
      if (left instanceof String && other instanceof String) {
        return order.test(Keyword.inCodePoints((String) left, (String) other));
      }
      if (left instanceof Number && other instanceof Number) {
        Number number = (Number) left;
        return order.test(
            asDouble ? Keyword.asDoubles(number, (Number) other) : Keyword.exactly(number, (Number) other));
      }
      return true;
    }
  }
}
