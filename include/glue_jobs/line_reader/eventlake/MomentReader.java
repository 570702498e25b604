package eventlake;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.temporal.ChronoUnit;
import java.util.Locale;
import java.util.regex.Pattern;

/**
 * Reads a date-time as an instant, cut to microseconds.
 *
 * <p>Does not belong here: what a date-time is. eventlake.patterns says so, after RFC 3339.
 */
final class MomentReader {
  private static final int SECONDS_END = "2026-11-21T08:00:00".length();

  private final Pattern dateTime;

  MomentReader(Pattern dateTime) {
    this.dateTime = dateTime;
  }

  /** Null where there is no such moment: a text of another form, the 30th of February, a second of 60. */
  Instant parse(Object text) {
    if (!(text instanceof String)) {
      return null;
    }
    try {
      Instant moment = asWritten((String) text);
      return moment != null ? moment : parsed((String) text);
    } catch (DateTimeException error) {
      return null;
    }
  }

  private Instant parsed(String text) {
    if (!dateTime.matcher(text).find()) {
      return null;
    }
    // Java has no word for less than a nanosecond
    String nanos = text.toUpperCase(Locale.ROOT).replaceAll("([.][0-9]{9})[0-9]+", "$1");
    return OffsetDateTime.parse(nanos).toInstant().truncatedTo(ChronoUnit.MICROS);
  }

  /** What admission writes, in a tenth of the time; null where the text is written in another way. */
  private static Instant asWritten(String text) {
    int end = text.length() - 1;
    if (end < SECONDS_END || text.charAt(end) != 'Z' || text.charAt(10) != 'T' || end > SECONDS_END + 10) {
      return null;
    }
    if (text.charAt(4) != '-' || text.charAt(7) != '-' || text.charAt(13) != ':' || text.charAt(16) != ':') {
      return null;
    }
    int hour = number(text, 11, 13);
    int minute = number(text, 14, 16);
    int second = number(text, 17, SECONDS_END);
    int fraction = end == SECONDS_END ? 0 : number(text, SECONDS_END + 1, end);
    int year = number(text, 0, 4);
    int month = number(text, 5, 7);
    int day = number(text, 8, 10);
    boolean isPlain = year >= 0 && month >= 0 && day >= 0 && fraction >= 0 && hour < 24 && minute < 60 && second < 60;
    if (!isPlain || hour < 0 || minute < 0 || second < 0 || end == SECONDS_END + 1) {
      return null;
    }
    if (end > SECONDS_END && text.charAt(SECONDS_END) != '.') {
      return null;
    }
    for (int digits = end - SECONDS_END - 1; digits > 0 && digits < 9; digits++) {
      fraction *= 10;
    }
    long days = LocalDate.of(year, month, day).toEpochDay();
    return Instant.ofEpochSecond(((days * 24 + hour) * 60 + minute) * 60 + second, fraction / 1_000 * 1_000);
  }

  /** The digits as a number; -1 where one of them is none. */
  private static int number(String text, int start, int end) {
    int number = 0;
    for (int place = start; place < end; place++) {
      int digit = text.charAt(place) - '0';
      if (digit < 0 || digit > 9) {
        return -1;
      }
      number = number * 10 + digit;
    }
    return number;
  }
}
