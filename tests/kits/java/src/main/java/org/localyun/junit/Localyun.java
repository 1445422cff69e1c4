package org.localyun.junit;

import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/** A server for this test class, on free ports, clean for each test; tests take it as a parameter of type {@link Cloud}. */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Inherited
@ExtendWith(LocalyunExtension.class)
public @interface Localyun {
    /** Settings of {@code localyun serve}: {@code "auth=off"}, {@code "clock_start=2026-03-01T02:00:00Z"}. */
    String[] value() default {};
}
