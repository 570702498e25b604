package eventlake;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * What a table gets in place of a personal text; eventlake.protection says what each way means.
 *
 * <p>Does not belong here: which text is protected, where the key comes from.
 */
final class Protector {
  enum Way { HASHED, MASKED, MASKED_BUT_DOMAIN }

  private static final String ALGORITHM = "HmacSHA256";
  private static final String MASK = "***";

  private final Mac mac;

  /** `key`: empty where nothing is hashed. */
  Protector(byte[] key) {
    try {
      mac = Mac.getInstance(ALGORITHM);
      if (key.length > 0) {
        mac.init(new SecretKeySpec(key, ALGORITHM));
      }
    } catch (GeneralSecurityException error) {
      // every Java has it, and takes a key of any length
      throw new IllegalStateException(error);
    }
  }

  String protect(String text, Way way) {
    switch (way) {
      case HASHED:
        return HexFormat.of().formatHex(mac.doFinal(text.getBytes(StandardCharsets.UTF_8)));
      case MASKED:
        return MASK;
      default:
        int at = text.lastIndexOf('@');
        return at < 0 ? MASK : MASK + text.substring(at);
    }
  }
}
